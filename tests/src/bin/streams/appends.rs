//! Durable appends a second.

use reveille_tests::Result;
use reveille_tests::report::Unit;

use crate::Setting;
use crate::load::{self, Shape};
use crate::pair::Pair;
use crate::report::{Aim, Compared, Report};

/// Measures both servers at each shape of load, each round on new stores: the published server keeps a hundred files
/// open, and appends to more streams than that fail at times, with 404.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    for shape in SHAPES {
        let mut rounds = Vec::new();
        for round in 0..setting.rounds {
            let pair = Pair::start(&setting.place).await?;
            let measured = pair.round(round, async |side, round| {
                setting.progress.say(&format!("appends, {shape}: round {}, {}", round + 1, side.name()));
                load::run(side, "a", shape, setting.warm_up, setting.window).await
            });
            rounds.push(measured.await?);
            pair.stop().await?;
        }
        let rates = rounds.iter().map(|round| round.each_ref().map(|run| run.answers.a_second));
        report.figure(Compared::new(format!("appends a second, {shape}"), Unit::PerSecond, Aim::Times(25.0), rates));
        report.runs.extend(rounds.into_iter().next_back().into_iter().flatten());
    }
    Ok(())
}

const SHAPES: [Shape; 4] = [
    Shape { streams: 1, connections: 16 },
    Shape { streams: 1, connections: 64 },
    Shape { streams: 100, connections: 16 },
    Shape { streams: 100, connections: 64 },
];
