//! Figures as OpenMetrics, and as the older text that node exporters read.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::plan::figures::{Figures, Status};

/// The media type of [`openmetrics`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The media type of [`prometheus`].
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn openmetrics(figures: &Figures) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("cairn");
    registry.register_collector(Box::new(All(figures.clone())));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The text format of Prometheus: in it a counter's family is named as its
/// samples are.
///
/// # Errors
/// As [`openmetrics`].
pub fn prometheus(figures: &Figures) -> Result<String, fmt::Error> {
    let text = openmetrics(figures)?;
    let is_counter = |name: &str| text.contains(&format!("# TYPE {name} counter\n"));
    let mut out = String::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let (hash, kind) = (words.next(), words.next());
        match (hash, kind, words.next(), words.next()) {
            (Some("#"), Some("HELP" | "TYPE"), Some(name), Some(rest)) if is_counter(name) => {
                let kind = kind.unwrap_or_default();
                out.push_str(&format!("# {kind} {name}_total {rest}\n"));
            }
            (Some("#"), Some("TYPE"), Some(name), Some("unknown")) => {
                out.push_str(&format!("# TYPE {name} untyped\n"));
            }
            (Some("#"), Some("EOF" | "UNIT"), ..) => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    Ok(out)
}

#[derive(Debug)]
struct All(Figures);

type Labels<'l> = Vec<(&'static str, &'l str)>;

/// A family: its name, what it is, its unit, and its samples.
fn counters<'l>(
    to: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in samples {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauges<'l>(
    to: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    samples: impl IntoIterator<Item = (Labels<'l>, i64)>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in samples {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// A family of one sample, without labels. What ends in `_count` has no type:
/// only histograms and summaries may be called so.
fn gauge(
    to: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    value: i64,
) -> fmt::Result {
    let kind = match name.ends_with("_count") {
        true => MetricType::Unknown,
        false => MetricType::Gauge,
    };
    ConstGauge::new(value).encode(to.encode_descriptor(name, help, unit, kind)?)
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(figures) = self;
        let to = &mut encoder;
        let status = |status: &Status| ("status", status.as_str());
        gauges(
            to,
            ("build_info", "The program's version", None),
            [(vec![("version", figures.version.as_str())], 1)],
        )?;
        counters(
            to,
            (
                "backup_operations",
                "Restore points taken, by what took them; failure means that not all was captured",
            ),
            (figures.backups.iter())
                .map(|((of, how), n)| (vec![("type", of.as_str()), status(how)], *n)),
        )?;
        let by_status = [
            (
                "restore_operations",
                "Restores, undos and rollbacks that ended; failure means taken back",
                &figures.restores,
            ),
            (
                "gate_verdicts",
                "Switches that the health gate judged",
                &figures.verdicts,
            ),
            (
                "gate_rollbacks",
                "Ways back from a switch; failure means that it could not go back then",
                &figures.rollbacks,
            ),
            (
                "heal_attempts",
                "Actions tried against issues; success means that the issue was gone",
                &figures.heals,
            ),
        ];
        for (name, help, counted) in by_status {
            let samples = counted.iter().map(|(how, n)| (vec![status(how)], *n));
            counters(to, (name, help), samples)?;
        }
        gauges(
            to,
            (
                "backup_storage",
                "Size of the vault, by repository",
                Some(&Unit::Bytes),
            ),
            (figures.storage.iter()).map(|(of, n)| (vec![("type", *of)], whole(*n))),
        )?;
        if let Some(number) = figures.generation {
            let what = "The number of the profile's generation";
            gauge(to, ("generation_current", what, None), whole(number))?;
        }
        let plain = [
            (
                "generation_count",
                "Generations of the profile",
                figures.generations,
            ),
            ("points", "Restore points", figures.points),
            (
                "points_pinned",
                "Restore points that are pinned",
                figures.pinned,
            ),
            (
                "points_damaged",
                "Documents of restore points that cannot be read",
                figures.damaged,
            ),
            (
                "healthy",
                "Whether all that is required is well",
                u64::from(figures.healthy),
            ),
            (
                "restore_unfinished",
                "Whether a restore waits to be resumed or aborted",
                u64::from(figures.unfinished),
            ),
        ];
        for (name, help, value) in plain {
            gauge(to, (name, help, None), whole(value))?;
        }
        if let Some(score) = figures.score {
            let what = "The health score, 0 to 100";
            gauge(to, ("health_score", what, None), i64::from(score))?;
        }
        gauges(
            to,
            ("issues", "Open issues, by kind", None),
            (figures.issues.iter()).map(|(kind, n)| (vec![("kind", kind.as_str())], whole(*n))),
        )?;
        let what = "When these figures were gathered, since 1970";
        let name = "observed_timestamp";
        gauge(to, (name, what, Some(&Unit::Seconds)), figures.observed)?;
        if let Some(newest) = figures.newest {
            let what = "When the newest restore point was taken, since 1970";
            let name = "last_success_timestamp";
            gauge(to, (name, what, Some(&Unit::Seconds)), newest)?;
        }
        if let Some(age) = figures.newest_age {
            let what = "Age of the newest restore point";
            let name = "last_success_age";
            gauge(to, (name, what, Some(&Unit::Seconds)), whole(age))?;
        }
        gauges(
            to,
            (
                "remote_newest_timestamp",
                "When the newest restore point on a remote was taken, since 1970",
                Some(&Unit::Seconds),
            ),
            (figures.remotes.iter()).filter_map(|(name, copies)| {
                Some((vec![("remote", name.as_str())], copies.newest?))
            }),
        )?;
        gauges(
            to,
            (
                "remote_age",
                "Age of the newest restore point on a remote",
                Some(&Unit::Seconds),
            ),
            (figures.remotes.iter()).filter_map(|(name, copies)| {
                Some((vec![("remote", name.as_str())], whole(copies.age?)))
            }),
        )?;
        gauges(
            to,
            (
                "remote_failing",
                "Whether the last push to a remote failed",
                None,
            ),
            (figures.remotes.iter())
                .map(|(name, copies)| (vec![("remote", name.as_str())], i64::from(copies.failing))),
        )
    }
}
