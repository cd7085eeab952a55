//! Does a learned order heal hosts sooner than the best fixed one?
//!
//!     cargo run --release --example learned_order [HOSTS [SEED]]

use cairn::learn::simulation::healing::{Outcome, Setting, run};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| {
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let (hosts, seed) = (number(1000), number(1));
    let usual = Setting {
        hosts,
        episodes: 60,
        spread: 1.0,
        fleet: false,
        seed,
    };
    println!(
        "{hosts} hosts, {} issues each, seed {seed}; means with 95 % certainty.\n\
         The fixed order is by the priors: the best that can be written down beforehand.\n\
         Below 0, the learned order is better.\n",
        usual.episodes
    );
    let settings = [
        ("hosts differ from the priors (log-odds off by 1.0)", usual),
        (
            "hosts differ much (log-odds off by 1.5)",
            Setting {
                spread: 1.5,
                ..usual
            },
        ),
        (
            "a fleet that shares what it learns (off by 1.0, half of it in common)",
            Setting {
                fleet: true,
                ..usual
            },
        ),
        (
            "the priors are right: nothing is to be learned, only to be lost",
            Setting {
                spread: 0.0,
                ..usual
            },
        ),
    ];
    for (name, setting) in settings {
        show(name, &run(setting));
    }
}

fn show(name: &str, outcome: &Outcome) {
    println!("{name}");
    println!(
        "  actions until it is gone   fixed {:.3}   learned {:.3}   difference {:.3}",
        outcome.fixed_actions, outcome.learned_actions, outcome.actions
    );
    println!(
        "  seconds until it is gone   fixed {:.1}   learned {:.1}   difference {:.1}",
        outcome.fixed_seconds, outcome.learned_seconds, outcome.seconds
    );
    println!(
        "  difference of actions in the first tenth {:.3}, in the last {:.3}\n",
        outcome.early, outcome.late
    );
}
