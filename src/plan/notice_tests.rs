use super::*;

fn at() -> DateTime<Utc> {
    "2026-11-23T07:00:00Z".parse().unwrap()
}

fn switch(verdict: &str, done: &str, answer: Option<&str>) -> Switch {
    let mut value = serde_json::json!({
        "version": 1,
        "id": "01a20799-2c11-7d0f-8a52-0c5d3e7b9f10",
        "started": at(),
        "action": "switch",
        "to": format!("/nix/store/{}-nixos-system-web-5", "0".repeat(32)),
        "before": {},
        "boot": "b",
        "result": {
            "at": at(), "reached": "switched", "verdict": verdict, "done": done,
            "reasons": if verdict == "bad" { vec!["web.service failed"] } else { vec![] },
        },
    });
    if let Some(answer) = answer {
        value["answer"] = serde_json::json!({ "answer": answer, "at": at() });
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn each_outcome_is_one_event() {
    let event = |verdict, done, answer| of_switch(&switch(verdict, done, answer)).map(|n| n.event);
    assert_eq!(event("good", "nothing", None), Some(Occasion::SwitchGood));
    assert_eq!(
        event("good", "nothing", Some("confirmed")),
        Some(Occasion::Confirmed)
    );
    assert_eq!(event("bad", "nothing", None), Some(Occasion::SwitchBad));
    assert_eq!(event("bad", "went-back", None), Some(Occasion::WentBack));
    assert_eq!(event("bad", "repaired", None), Some(Occasion::WentBack));
    for answer in ["reverted", "timed-out"] {
        let told = event("bad", "went-back", Some(answer));
        assert_eq!(told, Some(Occasion::Reverted), "{answer}");
    }
    assert_eq!(event("bad", "stuck", None), Some(Occasion::Stuck));
    for done in ["went-back-at-boot", "boots"] {
        assert_eq!(event("bad", done, None), Some(Occasion::NeedsReboot));
    }
    assert_eq!(event("none", "nothing", None), None);
}

#[test]
fn fields_name_what_it_is_about_and_break_no_line() {
    let notice = of_switch(&switch("bad", "went-back", None)).unwrap();
    let fields = notice.fields();
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(field("CAIRN_EVENT"), Some("went-back"));
    assert_eq!(field("CAIRN_REASONS"), Some("web.service failed"));
    assert_eq!(
        field("CAIRN_SWITCH"),
        Some("01a20799-2c11-7d0f-8a52-0c5d3e7b9f10")
    );
    assert_eq!(field("CAIRN_POINT"), None);
}

#[test]
fn an_issue_is_told_of_once_something_was_tried() {
    let issue = crate::point::Issue::ServiceDown("web.service".to_owned());
    let mut treated = Treated {
        issue: issue.clone(),
        detail: "web.service failed".to_owned(),
        held: None,
        until: None,
        actions: Vec::new(),
        off: Vec::new(),
        tries: Vec::new(),
        healed: false,
        point: None,
    };
    // One that is left alone is not told of at each run.
    assert_eq!(of_treated(&treated, at()), None);
    treated.tries.push(Tried {
        issue,
        action: crate::point::heal::Action::RestartUnit,
        verdict: crate::point::event::HealVerdict::Remains,
        before: Some(80),
        after: Some(80),
        millis: 900,
        interrupted: false,
        said: None,
        trouble: None,
    });
    let failed = of_treated(&treated, at()).unwrap();
    assert_eq!(failed.event, Occasion::HealFailed);
    assert_eq!(failed.subject.as_deref(), Some("web.service"));
    assert!(failed.reasons[0].contains("no help"), "{failed:?}");
    treated.healed = true;
    let healed = of_treated(&treated, at()).unwrap();
    assert_eq!(healed.event, Occasion::Healed);
    assert!(healed.message.contains("web.service"), "{healed:?}");
    assert_eq!(healed.reasons, [""; 0]);
    // What fails since is told, where nothing takes the action back.
    treated.tries[0].said = Some("units failed since: db.service".to_owned());
    let healed = of_treated(&treated, at()).unwrap();
    assert_eq!(healed.reasons, ["units failed since: db.service"]);
}
