//! A verb that is struck at every step it takes, on a copy of one machine each
//! time.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use super::{Ended, Machine, Node, changed};

/// What every changing verb answers while a restore is unfinished.
pub const NEEDS_RESUME: i32 = 22;

#[track_caller]
pub fn same(expected: &[Node], found: &[Node], what: &str) {
    let lines = changed(expected, found);
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

/// Does all of it, as many at once as there are processors.
pub fn each<T: Send>(items: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) -> usize {
    let items: Vec<T> = items.into_iter().collect();
    let count = items.len();
    let left = Mutex::new(items.into_iter());
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(item) = left.lock().unwrap().next() else {
                        break;
                    };
                    work(item);
                }
            });
        }
    });
    count
}

/// One passage of a fault point, as `CAIRN_FAULT` takes it.
#[derive(Clone, Debug)]
pub struct Passage {
    pub at: String,
    pub name: String,
    pub before: bool,
    pub nth: usize,
    /// Whether the point is passed once only.
    pub once: bool,
}

/// How a verb that is not disturbed leaves the machine, and how it was.
pub struct Course {
    pub args: Vec<String>,
    pub before: Vec<Node>,
    pub after: Vec<Node>,
    /// What it passed, in order.
    pub passed: Vec<Passage>,
    template: PathBuf,
}

impl Course {
    /// Runs the verb once on a copy of the machine `template` is. Names of
    /// points (`A`, `B`) stand for their ids.
    pub fn new(template: PathBuf, args: &[&str]) -> Self {
        let whole = Machine::copy_of(&template);
        let before = whole.picture();
        let args: Vec<String> = args
            .iter()
            .map(|a| match *a {
                "A" | "B" => whole.point(a),
                other => other.to_owned(),
            })
            .collect();
        let log = whole.dir.path().join("passed");
        let mut command = whole.command(&args);
        Ended::of(command.env("CAIRN_FAULT_LOG", &log).output().unwrap()).expect(0);
        let after = whole.picture();
        whole.nothing_left_over();
        Self {
            args,
            before,
            after,
            passed: passages(&fs::read_to_string(log).unwrap()),
            template,
        }
    }

    /// Passages of these points alone.
    pub fn passages<'c>(&'c self, lists: &'c [&[&str]]) -> impl Iterator<Item = &'c Passage> {
        let listed = |name: &str| lists.iter().any(|list| list.contains(&name));
        self.passed.iter().filter(move |p| listed(&p.name))
    }

    /// The passages of these points from the moment that the journal stands.
    pub fn begun<'c>(&'c self, lists: &'c [&[&str]]) -> impl Iterator<Item = &'c Passage> {
        let stands = |p: &Passage| p.name == "restore.journalled" && !p.before;
        let from = self.passed.iter().position(stands).unwrap();
        let from = self.passed[from].at.clone();
        self.passages(lists).skip_while(move |p| p.at != from)
    }

    /// A copy of the machine.
    pub fn fresh(&self) -> Machine {
        Machine::copy_of(&self.template)
    }

    /// A copy of the machine, on which the verb is struck.
    pub fn struck(&self, at: &str) -> (Machine, Ended) {
        let machine = Machine::copy_of(&self.template);
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let ended = machine.struck(at, &args);
        (machine, ended)
    }

    /// A machine on which the verb died at a fault point.
    #[track_caller]
    pub fn dead(&self, at: &str) -> Machine {
        let (machine, ended) = self.struck(at);
        assert!(ended.killed(), "{at}: {}", ended.told());
        machine
    }

    /// How the machine is to be when a verb ended it.
    pub fn expected(&self, verb: &str) -> &[Node] {
        if verb == "resume" {
            &self.after
        } else {
            &self.before
        }
    }
}

fn passages(log: &str) -> Vec<Passage> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut passed: Vec<Passage> = Vec::new();
    for line in log.lines() {
        let nth = counts.entry(line).or_default();
        *nth += 1;
        passed.push(Passage {
            at: format!("{line}:{nth}"),
            name: line.trim_start_matches("before ").to_owned(),
            before: line.starts_with("before "),
            nth: *nth,
            once: true,
        });
    }
    for passage in &mut passed {
        let word = if passage.before { "before " } else { "" };
        passage.once = counts[format!("{word}{}", passage.name).as_str()] == 1;
    }
    passed
}

/// The ends that are tried after a death here: both, and where a step is
/// taken many times one of them before it and the other one after. Before the
/// next step all is as it is after this one.
pub fn endings(passage: &Passage) -> &'static [&'static str] {
    match (passage.once, passage.before) {
        (true, _) => &["resume", "abort"],
        (false, true) => &["abort"],
        (false, false) => &["resume"],
    }
}

/// Ends an unfinished restore, and looks at all there is.
#[track_caller]
pub fn end(machine: &Machine, verb: &str, expected: &[Node], at: &str) {
    let ended = machine.run([verb, "-y"]);
    assert_eq!(ended.code, Some(0), "{at}, then {verb}: {}", ended.told());
    same(expected, &machine.picture(), &format!("{at}, then {verb}"));
    machine.nothing_staged();
    assert!(
        machine.app_runs(),
        "{at}, then {verb}: a unit was left stopped"
    );
}

/// [`end`], and that everything goes on from there.
#[track_caller]
pub fn end_thoroughly(machine: &Machine, verb: &str, expected: &[Node], at: &str) {
    end(machine, verb, expected, at);
    machine.run(["status"]).expect(0);
    // Leftovers of the point that was being taken are cleaned by the next run.
    machine.create("next");
    machine.nothing_left_over();
    let none = machine.run(["resume", "-y"]).expect(1);
    assert!(none.err.contains("there is no restore to resume"));
}
