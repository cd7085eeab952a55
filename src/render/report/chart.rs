//! Where things are in the pictures: numbers for the template, nothing drawn.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::super::style::date;
use super::how;
use crate::plan::report::Report;
use crate::point::event::Kind;
use crate::point::humane::bytes;

/// Width of a picture, in its own units.
const WIDTH: f64 = 1000.0;
/// Room for names at its left.
const LEFT: f64 = 110.0;
/// Room at its right.
const RIGHT: f64 = 20.0;
/// Height of a lane.
const LANE: f64 = 34.0;
/// Height of a chart.
const HEIGHT: f64 = 180.0;
/// Marks on the axis of time.
const TICKS: i32 = 5;

/// A moment on the axis.
#[derive(Debug, Serialize)]
struct Tick {
    x: f64,
    label: String,
}

/// Moments to places.
struct Axis {
    from: DateTime<Utc>,
    length: f64,
}

impl Axis {
    /// One that holds all of these moments, and a day at least.
    fn over(moments: impl IntoIterator<Item = DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let first = moments.into_iter().min().unwrap_or(now).min(now);
        let from = first.min(now - TimeDelta::hours(1));
        Self {
            from,
            length: seconds(now - from).max(1.0),
        }
    }

    fn x(&self, at: DateTime<Utc>) -> f64 {
        let share = (seconds(at - self.from) / self.length).clamp(0.0, 1.0);
        round(LEFT + share * (WIDTH - LEFT - RIGHT))
    }

    fn ticks(&self) -> Vec<Tick> {
        (0..TICKS)
            .map(|n| {
                let share = f64::from(n) / f64::from(TICKS - 1);
                #[allow(clippy::cast_possible_truncation)]
                let offset = TimeDelta::seconds((share * self.length) as i64);
                let at = self.from + offset;
                Tick {
                    x: round(LEFT + share * (WIDTH - LEFT - RIGHT)),
                    label: match self.length > 3.0 * 86_400.0 {
                        true => at.format("%Y-%m-%d").to_string(),
                        false => at.format("%m-%d %H:%M").to_string(),
                    },
                }
            })
            .collect()
    }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(length: TimeDelta) -> f64 {
    length.num_seconds() as f64
}

fn round(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

/// What happened, in lanes.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    width: f64,
    height: f64,
    left: f64,
    lanes: Vec<Lane>,
    ticks: Vec<Tick>,
    axis: f64,
}

#[derive(Debug, Serialize)]
struct Lane {
    name: &'static str,
    y: f64,
    marks: Vec<Mark>,
}

#[derive(Debug, Serialize)]
struct Mark {
    x: f64,
    y: f64,
    how: &'static str,
    title: String,
}

impl Timeline {
    pub(super) fn of(report: &Report) -> Self {
        let moments = report.events.iter().map(|e| e.at);
        let generations = report.generations.iter().map(|g| g.at);
        let axis = Axis::over(moments.chain(generations), report.at);
        let of_kinds = |kinds: &[Kind], y: f64| -> Vec<Mark> {
            let events = report.events.iter().filter(|e| kinds.contains(&e.kind));
            events
                .map(|e| Mark {
                    x: axis.x(e.at),
                    y,
                    how: how(e.kind, e.good),
                    title: format!("{}: {}", date(e.at), e.what),
                })
                .collect()
        };
        let rows: [(&'static str, &[Kind]); 5] = [
            ("points", &[Kind::Point]),
            ("gates", &[Kind::Verdict, Kind::Rollback]),
            ("restores", &[Kind::Restore]),
            ("heals", &[Kind::Heal]),
            ("boots", &[Kind::Boot]),
        ];
        let y = |n: usize| LANE * (f64::from(u32::try_from(n).unwrap_or(0)) + 0.5);
        let marks = report.generations.iter().map(|g| Mark {
            x: axis.x(g.at),
            y: y(0),
            how: "",
            title: format!("{}: generation {} {}", date(g.at), g.number, g.nixos),
        });
        let mut lanes = vec![Lane {
            name: "generations",
            y: y(0),
            marks: marks.collect(),
        }];
        for (n, (name, kinds)) in rows.into_iter().enumerate() {
            lanes.push(Lane {
                name,
                y: y(n + 1),
                marks: of_kinds(kinds, y(n + 1)),
            });
        }
        let bottom = y(lanes.len()) - LANE / 2.0;
        Self {
            width: WIDTH,
            height: bottom + 26.0,
            left: LEFT,
            lanes,
            ticks: axis.ticks(),
            axis: bottom,
        }
    }
}

/// One figure over time.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
    line: String,
    dots: Vec<Mark>,
    levels: Vec<Level>,
    ticks: Vec<Tick>,
    summary: String,
}

#[derive(Debug, Serialize)]
struct Level {
    y: f64,
    label: String,
}

impl Chart {
    fn draw(
        report: &Report,
        values: &[(DateTime<Utc>, f64, String)],
        (low, high): (f64, f64),
        label: impl Fn(f64) -> String,
        summary: String,
    ) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let axis = Axis::over(values.iter().map(|(at, ..)| *at), report.at);
        let (top, bottom) = (14.0, HEIGHT - 26.0);
        let span = (high - low).max(f64::MIN_POSITIVE);
        let y = |value: f64| {
            let share = ((value - low) / span).clamp(0.0, 1.0);
            round(bottom - share * (bottom - top))
        };
        let places: Vec<String> = values
            .iter()
            .map(|(at, value, _)| format!("{},{}", axis.x(*at), y(*value)))
            .collect();
        let dots = values.iter().map(|(at, value, title)| Mark {
            x: axis.x(*at),
            y: y(*value),
            how: "",
            title: format!("{}: {title}", date(*at)),
        });
        Some(Self {
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: WIDTH - RIGHT,
            bottom,
            line: places.join(" "),
            dots: match values.len() > 60 {
                true => Vec::new(),
                false => dots.collect(),
            },
            levels: [0.0, 0.5, 1.0]
                .iter()
                .map(|share| {
                    let value = low + share * span;
                    Level {
                        y: y(value),
                        label: label(value),
                    }
                })
                .collect(),
            ticks: axis.ticks(),
            summary,
        })
    }

    /// The health score.
    pub(super) fn health(report: &Report) -> Option<Self> {
        let values: Vec<_> = report
            .scores
            .iter()
            .map(|(at, score)| (*at, *score, format!("score {score:.0}")))
            .collect();
        let lowest = report.scores.iter().map(|(_, s)| *s).fold(100.0, f64::min);
        let summary = format!("{} readings, the lowest {lowest:.0} of 100", values.len());
        Self::draw(
            report,
            &values,
            (0.0, 100.0),
            |v| format!("{v:.0}"),
            summary,
        )
    }

    /// The size of the generations' closures.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    pub(super) fn sizes(report: &Report) -> Option<Self> {
        let values: Vec<_> = report
            .generations
            .iter()
            .filter_map(|g| {
                let size = g.bytes?;
                Some((
                    g.at,
                    size as f64,
                    format!("generation {}, {}", g.number, bytes(size)),
                ))
            })
            .collect();
        let high = values.iter().map(|(_, size, _)| *size).fold(0.0, f64::max);
        let summary = format!(
            "{} generations, the largest {}",
            values.len(),
            bytes(high as u64)
        );
        Self::draw(report, &values, (0.0, high), |v| bytes(v as u64), summary)
    }
}
