//! Does the risk that is foretold come closer to what happens than a constant
//! rate?
//!
//!     cargo run --release --example risk_forecast [MACHINES [SEED]]

use cairn::learn::simulation::switching::{Setting, Stage, World, run};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| {
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let (machines, seed) = (number(1000), number(1));
    println!(
        "{machines} machines, 20 forecasts each at every stage, seed {seed}; means with 95 % \
         certainty.\nThe constant is the rate of the machine's own switches so far, begun at the \
         same base rate.\nBelow 0, the model is better.\n"
    );
    let worlds = [
        ("what is believed is about right", World::AsBelieved),
        ("what is believed is twice as far off", World::FarOff),
        (
            "what is believed to matter does not: the worst case",
            World::Unrelated,
        ),
    ];
    for (name, world) in worlds {
        println!("{name}");
        let stages = run(Setting {
            machines,
            world,
            seed,
        });
        stages.iter().for_each(show);
        if let Some(last) = stages.last() {
            bands(last);
        }
    }
}

fn show(stage: &Stage) {
    println!(
        "  after {:3} switches   Brier {:.4} against {:.4}, difference {:.4}   log-loss {:.3} \
         against {:.3}, difference {:.3}",
        stage.after,
        stage.model.brier,
        stage.constant.brier,
        stage.brier,
        stage.model.log_loss,
        stage.constant.log_loss,
        stage.log_loss
    );
}

fn bands(stage: &Stage) {
    println!("  foretold and happened, after {} switches", stage.after);
    for band in stage.bands.iter().filter(|band| band.forecasts > 0) {
        println!(
            "    {:3.0} to {:3.0} %  {:6} forecasts  foretold {:5.1} %  failed {:5.1} %",
            band.from * 100.0,
            band.to * 100.0,
            band.forecasts,
            band.foretold * 100.0,
            band.failed * 100.0
        );
    }
    println!();
}
