//! Machines that never were, to see whether learning pays.
//!
//! Everything follows from a seed. `examples/` prints the figures; the tests
//! here fail if learning does no better than what it is compared with.

pub mod healing;
pub mod random;
pub mod switching;

/// A mean, and how far it may be off with 95 % certainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Half of the interval.
    pub off: f64,
}

impl Mean {
    /// Of these values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        let n = (values.len() as f64).max(1.0);
        let mean = values.iter().sum::<f64>() / n;
        let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let variance = spread / (n - 1.0).max(1.0);
        Self {
            mean,
            off: 1.96 * (variance / n).sqrt(),
        }
    }

    /// Whether it is below 0 beyond doubt.
    pub fn is_negative(&self) -> bool {
        self.mean + self.off < 0.0
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} ± {:.digits$}", self.mean, self.off)
    }
}
