//! When something runs full: from samples of the past, with a slope that a
//! few odd samples do not bend (Theil–Sen), and the honest answer "unknown"
//! where the past does not tell.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::point::humane;

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: DateTime<Utc>,
    /// What was measured, such as the percentage in use.
    pub value: f64,
}

/// Fewest samples a forecast is made of.
pub const LEAST_SAMPLES: usize = 8;

/// Shortest time they may span.
const LEAST_SPAN: TimeDelta = TimeDelta::hours(1);

/// How far the forecast goes, in spans of the past.
const REACH: i32 = 10;

/// How old the newest sample may be, in spans of the past.
const STALE: i32 = 1;

/// Samples that slopes are made of at most: pairs grow with the square.
const MOST_SAMPLES: usize = 200;

/// A fall by this share of the whole is a clean-up: what was before it tells
/// nothing of what comes.
const CLEAN_UP: f64 = 0.05;

/// Normal quantile of the two-sided 95 % interval.
const Z: f64 = 1.96;

/// What is to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Forecast {
    /// The past does not tell.
    Unknown {
        /// Why.
        why: Unclear,
    },
    /// It does not grow, or so slowly that it is not full within ten times the
    /// span of the samples.
    Steady,
    /// It is full already.
    Full,
    /// It grows, and is full then.
    FullAt {
        /// The best guess.
        at: DateTime<Utc>,
        /// With 95 % confidence of the slope, not before.
        earliest: DateTime<Utc>,
        /// … not after; absent when it may be never.
        #[serde(skip_serializing_if = "Option::is_none")]
        latest: Option<DateTime<Utc>>,
    },
}

/// Why there is no forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unclear {
    /// Too few samples since the last clean-up.
    FewSamples,
    /// They lie too close together.
    ShortSpan,
    /// The newest is too old.
    Stale,
    /// They grow and fall too much to tell.
    Noisy,
}

impl Forecast {
    /// In a few words: "full in 9 h"; nothing to say where nothing comes.
    pub fn words(&self, now: DateTime<Utc>) -> Option<String> {
        match self {
            Self::Unknown { .. } | Self::Steady => None,
            Self::Full => Some("full".to_owned()),
            Self::FullAt { at, .. } => Some(match (*at - now).to_std() {
                Ok(left) => format!("full in {}", humane::duration(whole(left))),
                Err(_) => "full about now".to_owned(),
            }),
        }
    }
}

/// A forecast is no better than its larger unit.
fn whole(left: Duration) -> Duration {
    let seconds = left.as_secs();
    let unit = match seconds {
        0..3_600 => 60,
        3_600..172_800 => 3_600,
        _ => 86_400,
    };
    Duration::from_secs((seconds / unit).max(1) * unit)
}

/// When the value reaches `limit`. The samples need no order.
pub fn forecast(samples: &[Sample], limit: f64, now: DateTime<Utc>) -> Forecast {
    let unknown = |why| Forecast::Unknown { why };
    let mut samples: Vec<Sample> = samples
        .iter()
        .filter(|s| s.value.is_finite() && s.at <= now)
        .copied()
        .collect();
    samples.sort_by_key(|s| s.at);
    samples.dedup_by_key(|s| s.at);
    if samples.last().is_some_and(|s| s.value >= limit) {
        return Forecast::Full;
    }
    let samples = thinned(since_clean_up(&samples, limit.abs() * CLEAN_UP));
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return unknown(Unclear::FewSamples);
    };
    if samples.len() < LEAST_SAMPLES {
        return unknown(Unclear::FewSamples);
    }
    let span = last.at - first.at;
    if span < LEAST_SPAN {
        return unknown(Unclear::ShortSpan);
    }
    if now - last.at > span * STALE {
        return unknown(Unclear::Stale);
    }
    let points: Vec<(f64, f64)> = samples
        .iter()
        .map(|s| (hours(s.at - first.at), s.value))
        .collect();
    let slope = Slope::of(&points);
    let horizon = hours(now - first.at) + hours(span) * f64::from(REACH);
    let start = median(points.iter().map(|(x, y)| y - slope.middle * x).collect());
    // The line through the middle of the samples, at this slope.
    let reached = |each: f64| (each > 0.0).then(|| (limit - start) / slope_at(each));
    match (slope.low > 0.0, reached(slope.middle)) {
        (_, None) => Forecast::Steady,
        (_, Some(x)) if x > horizon => Forecast::Steady,
        (false, Some(_)) => unknown(Unclear::Noisy),
        (true, Some(x)) => {
            let since = |x: f64| first.at + from_hours(x.min(horizon)).max(now - first.at);
            let middle = (points.len() / 2).min(points.len() - 1);
            let (mx, my) = points[middle];
            let by = |each: f64| since(mx + (limit - my.min(limit)) / each);
            Forecast::FullAt {
                at: since(x),
                earliest: by(slope.high).min(since(x)),
                latest: Some(by(slope.low).max(since(x))),
            }
        }
    }
}

/// Guards a division: slopes that are given are positive.
fn slope_at(each: f64) -> f64 {
    each.max(f64::MIN_POSITIVE)
}

/// The samples after the last fall by more than `drop`.
fn since_clean_up(samples: &[Sample], drop: f64) -> &[Sample] {
    let fall = samples
        .windows(2)
        .rposition(|pair| pair[0].value - pair[1].value > drop);
    fall.map_or(samples, |n| &samples[n + 1..])
}

/// So many samples, evenly chosen, the newest always among them.
fn thinned(samples: &[Sample]) -> Vec<Sample> {
    if samples.len() <= MOST_SAMPLES {
        return samples.to_vec();
    }
    (0..MOST_SAMPLES)
        .map(|n| samples[n * (samples.len() - 1) / (MOST_SAMPLES - 1)])
        .collect()
}

/// The median of all slopes between two samples, and its 95 % interval by the
/// variance of Kendall's S (Sen 1968), in units for each hour.
struct Slope {
    low: f64,
    middle: f64,
    high: f64,
}

impl Slope {
    fn of(points: &[(f64, f64)]) -> Self {
        let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
        for (n, (x, y)) in points.iter().enumerate() {
            for (later_x, later_y) in &points[n + 1..] {
                slopes.push((later_y - y) / (later_x - x));
            }
        }
        slopes.sort_by(f64::total_cmp);
        let n = count(points.len());
        let pairs = count(slopes.len());
        let deviation = Z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
        let at = |rank: f64| {
            // Ranks are small, not negative, and within the list.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let index = rank.clamp(0.0, pairs - 1.0) as usize;
            slopes.get(index).copied().unwrap_or(0.0)
        };
        Self {
            low: at(((pairs - deviation) / 2.0).floor() - 1.0),
            high: at(((pairs + deviation) / 2.0).ceil()),
            middle: median(slopes.clone()),
        }
    }
}

/// Numbers of samples and pairs, far below what a float counts exactly.
#[allow(clippy::cast_precision_loss)]
fn count(n: usize) -> f64 {
    n as f64
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    match (numbers.get(half), numbers.len() % 2) {
        (Some(middle), 1) => *middle,
        (Some(above), _) => numbers
            .get(half.wrapping_sub(1))
            .map_or(*above, |below| (below + above) / 2.0),
        (None, _) => 0.0,
    }
}

/// Milliseconds of any span are exact as a float.
#[allow(clippy::cast_precision_loss)]
fn hours(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 3_600_000.0
}

/// The caller has capped the number.
#[allow(clippy::cast_possible_truncation)]
fn from_hours(hours: f64) -> TimeDelta {
    TimeDelta::milliseconds((hours * 3_600_000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> DateTime<Utc> {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    /// A sample each ten minutes.
    fn series(values: impl IntoIterator<Item = f64>) -> Vec<Sample> {
        let at = |n: usize| start() + TimeDelta::minutes(10 * i64::try_from(n).unwrap());
        values
            .into_iter()
            .enumerate()
            .map(|(n, value)| Sample { at: at(n), value })
            .collect()
    }

    fn told(samples: &[Sample]) -> Forecast {
        let now = samples.last().map_or(start(), |s| s.at);
        forecast(samples, 100.0, now)
    }

    #[test]
    fn a_steady_growth_is_full_when_it_gets_there() {
        // 1 % in an hour: 64 % after 24 h.
        let samples = series((0..=144).map(|n| 40.0 + f64::from(n) / 6.0));
        let Forecast::FullAt {
            at,
            earliest,
            latest,
        } = told(&samples)
        else {
            panic!("{:?}", told(&samples));
        };
        let left = at - samples.last().unwrap().at;
        assert!(
            (left - TimeDelta::hours(36)).abs() < TimeDelta::minutes(2),
            "{left}"
        );
        assert!(earliest <= at && at <= latest.unwrap());
        let now = samples.last().unwrap().at;
        assert_eq!(told(&samples).words(now).unwrap(), "full in 1 d 12 h");
    }

    #[test]
    fn nine_hours_are_told_as_such() {
        let samples = series((0..=60).map(|n| 41.0 + f64::from(n) * 5.0 / 6.0));
        let now = samples.last().unwrap().at;
        let words = told(&samples).words(now).unwrap();
        assert!(words == "full in 1 h" || words == "full in 2 h", "{words}");
    }

    #[test]
    fn odd_samples_bend_nothing_and_a_clean_up_starts_anew() {
        let mut odd: Vec<f64> = (0..=144).map(|n| 40.0 + f64::from(n) / 6.0).collect();
        for n in [20, 60, 61, 100] {
            odd[n] += 4.0;
        }
        let Forecast::FullAt { at, .. } = told(&series(odd.clone())) else {
            panic!()
        };
        let left = at - series(odd).last().unwrap().at;
        assert!(
            (left - TimeDelta::hours(36)).abs() < TimeDelta::hours(2),
            "{left}"
        );
        // Grew to 90 %, was cleaned to 30 %, grows by 6 % an hour since.
        let saw = (0..100)
            .map(|n| 60.0 + f64::from(n) * 0.3)
            .chain((0..20).map(|n| 30.0 + f64::from(n)));
        let samples = series(saw);
        let Forecast::FullAt { at, .. } = told(&samples) else {
            panic!()
        };
        let left = at - samples.last().unwrap().at;
        assert!(
            (left - TimeDelta::minutes(510)).abs() < TimeDelta::minutes(10),
            "{left}"
        );
    }

    #[test]
    fn what_the_past_does_not_tell_is_unknown() {
        let why = |samples: &[Sample]| match told(samples) {
            Forecast::Unknown { why } => Some(why),
            _ => None,
        };
        assert_eq!(why(&[]), Some(Unclear::FewSamples));
        assert_eq!(why(&series([1.0, 2.0, 3.0])), Some(Unclear::FewSamples));
        let cleaned = series((0..50).map(|n| f64::from(n) + 40.0).chain([20.0, 21.0]));
        assert_eq!(why(&cleaned), Some(Unclear::FewSamples));
        let close: Vec<Sample> = (0..20u32)
            .map(|n| Sample {
                at: start() + TimeDelta::seconds(n.into()),
                value: f64::from(n),
            })
            .collect();
        assert_eq!(why(&close), Some(Unclear::ShortSpan));
        let old = series((0..20).map(|n| 40.0 + f64::from(n)));
        let late = forecast(&old, 100.0, start() + TimeDelta::days(2));
        assert_eq!(
            late,
            Forecast::Unknown {
                why: Unclear::Stale
            }
        );
        let noise =
            series((0..12).map(|n| if n % 2 == 0 { 50.0 } else { 53.0 } + f64::from(n) * 0.2));
        assert!(matches!(
            told(&noise),
            Forecast::Unknown {
                why: Unclear::Noisy
            } | Forecast::Steady
        ));
    }

    #[test]
    fn what_does_not_grow_is_steady_and_what_is_full_is_full() {
        assert_eq!(told(&series((0..50).map(|_| 70.0))), Forecast::Steady);
        assert_eq!(
            told(&series((0..50).map(|n| 70.0 - f64::from(n) * 0.1))),
            Forecast::Steady
        );
        // Full in a year, told from eight hours.
        let slow = series((0..50).map(|n| 70.0 + f64::from(n) * 0.0005));
        assert_eq!(told(&slow), Forecast::Steady);
        assert_eq!(told(&series([99.0, 100.0])), Forecast::Full);
        assert_eq!(Forecast::Full.words(start()).as_deref(), Some("full"));
        assert_eq!(Forecast::Steady.words(start()), None);
    }

    proptest! {
        #[test]
        fn nothing_it_is_given_breaks_it(
            values in proptest::collection::vec((any::<i32>(), any::<f64>()), 0..60),
            limit in any::<f64>(),
        ) {
            let samples: Vec<Sample> = values
                .into_iter()
                .map(|(s, value)| Sample { at: start() + TimeDelta::seconds(s.into()), value })
                .collect();
            let now = start() + TimeDelta::days(30_000);
            let told = forecast(&samples, limit, now);
            let _ = told.words(now);
        }

        #[test]
        fn a_full_disk_is_never_before_now_and_the_guess_lies_within_its_bounds(
            noise in proptest::collection::vec(-1.0f64..1.0, 30..80),
            rate in 0.1f64..2.0,
        ) {
            let mut at = 20.0;
            let samples = series(noise.iter().map(|n| { at += rate; (at + n).min(99.9) }));
            let now = samples.last().unwrap().at;
            if let Forecast::FullAt { at, earliest, latest } = forecast(&samples, 100.0, now) {
                prop_assert!(earliest >= now && earliest <= at);
                prop_assert!(latest.is_none_or(|latest| latest >= at));
            }
        }
    }
}
