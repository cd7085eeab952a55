//! What the demo does: data, in order.

/// One line that is run, and what must be so after it.
pub(super) struct Step {
    /// Heads the steps from here on.
    pub title: Option<&'static str>,
    /// The line of shell.
    pub line: &'static str,
    /// What must be so.
    pub promises: &'static [Promise],
}

/// What must be so after a step.
pub(super) enum Promise {
    /// The configuration is the good one.
    Good,
    /// The configuration is no longer the good one: it is the broken one.
    Broken,
    /// The configuration is the broken one again.
    Bad,
    /// The profile is at this generation, which is this system.
    Runs {
        /// The number.
        generation: u64,
        /// Which of the machine's systems, from 1.
        system: usize,
    },
    /// A system was collected.
    Gone {
        /// Which.
        system: usize,
    },
    /// A system outlives its generation.
    Held {
        /// The generation that is gone.
        generation: u64,
        /// Which system.
        system: usize,
    },
}

const fn step(line: &'static str, promises: &'static [Promise]) -> Step {
    Step {
        title: None,
        line,
        promises,
    }
}

const fn titled(title: &'static str, line: &'static str, promises: &'static [Promise]) -> Step {
    Step {
        title: Some(title),
        line,
        promises,
    }
}

const GOOD: &[Promise] = &[
    Promise::Good,
    Promise::Runs {
        generation: 3,
        system: 3,
    },
];

/// The steps.
pub(super) const STEPS: &[Step] = &[
    titled(
        "Three generations, and a first restore point",
        "nix-env --store $CAIRN_ROOT -p $PROFILE --set ./result-1",
        &[],
    ),
    step(
        "nix-env --store $CAIRN_ROOT -p $PROFILE --set ./result-2",
        &[],
    ),
    step(
        "nix-env --store $CAIRN_ROOT -p $PROFILE --set ./result-3",
        GOOD,
    ),
    step("cairn status", &[]),
    step("cairn create -r 'all is well'", &[]),
    step("cairn mark-good", &[]),
    titled(
        "A bad day: a file lost, a typing error, a bad update",
        "rm etc/nixos/database.nix",
        &[],
    ),
    step(
        "sed -i s/nginx.enable/nginx.enabel/ etc/nixos/web.nix",
        &[Promise::Broken],
    ),
    step(
        "nix-env --store $CAIRN_ROOT -p $PROFILE --set ./result-4",
        &[Promise::Runs {
            generation: 4,
            system: 4,
        }],
    ),
    step("cairn status", &[]),
    step("cairn diff", &[]),
    titled(
        "Back: look first, then restore",
        "cairn restore latest-good -n",
        &[
            Promise::Bad,
            Promise::Runs {
                generation: 4,
                system: 4,
            },
        ],
    ),
    step("cairn restore latest-good -y", GOOD),
    titled(
        "A restore can be undone, and done again",
        "cairn undo -y",
        &[
            Promise::Bad,
            Promise::Runs {
                generation: 4,
                system: 4,
            },
        ],
    ),
    step("cairn restore latest-good -y", GOOD),
    titled(
        "The generation is deleted and the garbage collected: it comes back",
        "cairn generations switch 2 -y",
        &[Promise::Runs {
            generation: 2,
            system: 2,
        }],
    ),
    step("cairn generations clean --keep-last 1 -y", &[]),
    step(
        "nix-store --store $CAIRN_ROOT --gc 2>&1 | tail -n 1",
        &[
            Promise::Gone { system: 1 },
            Promise::Held {
                generation: 3,
                system: 3,
            },
        ],
    ),
    step(
        "cairn restore latest-good -y",
        &[
            Promise::Good,
            Promise::Runs {
                generation: 5,
                system: 3,
            },
        ],
    ),
    titled(
        "Everything stored is whole",
        "cairn verify --read-data",
        &[],
    ),
    step("cairn list", &[]),
    step("cairn generations list", &[]),
];
