//! Logistic regression with a Gaussian prior: the most likely weights after
//! what was seen, and how sure they are.
//!
//! Newton's method with a Cholesky factor, for some 20 weights and some hundred
//! cases. The crates that fit regressions bring a matrix library and no prior;
//! this is shorter than the code that would convert to and from one of them.
//! Fitting all cases anew takes less than a millisecond or two and is exact,
//! so nothing but the cases need be stored.

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Values of the features.
    pub(super) x: Vec<f64>,
    /// Whether it failed.
    pub(super) failed: bool,
    /// What it weighs.
    pub(super) weight: f64,
}

/// What is believed of one weight beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belief {
    /// What it is.
    pub(super) mean: f64,
    /// How far it may be off.
    pub(super) sd: f64,
}

/// Weights after what was seen.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// The most likely ones.
    pub(super) weights: Vec<f64>,
    /// Lower Cholesky factor of the curvature there.
    factor: Vec<Vec<f64>>,
}

/// Newton steps at most; a handful is usual.
const STEPS: usize = 25;

/// The probability of log-odds.
pub(super) fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The log-odds of a probability.
pub(super) fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Finds the most likely weights.
pub(super) fn fit(rows: &[Row], beliefs: &[Belief]) -> Fit {
    let mut weights: Vec<f64> = beliefs.iter().map(|b| b.mean).collect();
    let mut loss = loss_of(&weights, rows, beliefs);
    for _ in 0..STEPS {
        let (gradient, curvature) = slope(&weights, rows, beliefs);
        let step = solve(&cholesky(&curvature), &gradient);
        // Halve the step until it helps: far from the optimum a full one may not.
        let mut share = 1.0;
        let better = loop {
            let next: Vec<f64> = weights
                .iter()
                .zip(&step)
                .map(|(w, s)| w - share * s)
                .collect();
            let next_loss = loss_of(&next, rows, beliefs);
            if next_loss <= loss {
                break Some((next, next_loss));
            }
            share /= 2.0;
            if share < 1e-6 {
                break None;
            }
        };
        let Some((next, next_loss)) = better else {
            break;
        };
        let moved = step.iter().map(|s| (share * s).abs()).fold(0.0, f64::max);
        (weights, loss) = (next, next_loss);
        if moved < 1e-9 {
            break;
        }
    }
    let (_, curvature) = slope(&weights, rows, beliefs);
    Fit {
        factor: cholesky(&curvature),
        weights,
    }
}

impl Fit {
    /// How unsure the weighted sum of these features is: its variance.
    pub(super) fn variance(&self, x: &[f64]) -> f64 {
        let half = forward(&self.factor, x);
        dot(&half, &half)
    }
}

fn loss_of(weights: &[f64], rows: &[Row], beliefs: &[Belief]) -> f64 {
    let seen: f64 = rows
        .iter()
        .map(|row| {
            let z = dot(weights, &row.x);
            let against = if row.failed { -z } else { z };
            // ln(1 + e^z) without overflow.
            row.weight * (against.max(0.0) + (-against.abs()).exp().ln_1p())
        })
        .sum();
    let believed: f64 = weights
        .iter()
        .zip(beliefs)
        .map(|(w, b)| ((w - b.mean) / b.sd).powi(2) / 2.0)
        .sum();
    seen + believed
}

fn slope(weights: &[f64], rows: &[Row], beliefs: &[Belief]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = weights.len();
    let mut gradient: Vec<f64> = weights
        .iter()
        .zip(beliefs)
        .map(|(w, b)| (w - b.mean) / b.sd.powi(2))
        .collect();
    let mut curvature = vec![vec![0.0; n]; n];
    for (i, belief) in beliefs.iter().enumerate() {
        curvature[i][i] = belief.sd.powi(-2);
    }
    for row in rows {
        let p = sigmoid(dot(weights, &row.x));
        let off = row.weight * (p - f64::from(u8::from(row.failed)));
        let bend = row.weight * p * (1.0 - p);
        for i in 0..n {
            gradient[i] += off * row.x[i];
            for (cell, x) in curvature[i].iter_mut().zip(&row.x[..=i]) {
                *cell += bend * row.x[i] * x;
            }
        }
    }
    (gradient, curvature)
}

/// The lower factor of a matrix of which the lower half is given. The prior
/// makes it positive definite.
fn cholesky(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = matrix.len();
    let mut factor = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let sum = matrix[i][j] - dot(&factor[i][..j], &factor[j][..j]);
            factor[i][j] = if i == j {
                sum.max(f64::MIN_POSITIVE).sqrt()
            } else {
                sum / factor[j][j]
            };
        }
    }
    factor
}

fn forward(factor: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let mut solved = vec![0.0; x.len()];
    for i in 0..x.len() {
        solved[i] = (x[i] - dot(&factor[i][..i], &solved[..i])) / factor[i][i];
    }
    solved
}

fn solve(factor: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let mut solved = forward(factor, x);
    for i in (0..x.len()).rev() {
        let above: f64 = (i + 1..x.len()).map(|k| factor[k][i] * solved[k]).sum();
        solved[i] = (solved[i] - above) / factor[i][i];
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(x: &[f64], failed: bool) -> Row {
        Row {
            x: x.to_vec(),
            failed,
            weight: 1.0,
        }
    }

    #[test]
    fn without_cases_the_beliefs_stand() {
        let beliefs = [
            Belief {
                mean: -2.0,
                sd: 0.5,
            },
            Belief { mean: 1.0, sd: 2.0 },
        ];
        let fit = fit(&[], &beliefs);
        assert_eq!(fit.weights, [-2.0, 1.0]);
        assert!((fit.variance(&[1.0, 0.0]) - 0.25).abs() < 1e-12);
        assert!((fit.variance(&[1.0, 1.0]) - 4.25).abs() < 1e-12);
    }

    /// With a prior that says nothing, one weight is the log-odds of the share.
    #[test]
    fn many_cases_outweigh_the_beliefs() {
        let rows: Vec<Row> = (0..100).map(|n| row(&[1.0], n < 20)).collect();
        let fit = fit(&rows, &[Belief { mean: 5.0, sd: 1e4 }]);
        assert!((fit.weights[0] - logit(0.2)).abs() < 1e-6, "{fit:?}");
        assert!((fit.variance(&[1.0]) - 1.0 / 16.0).abs() < 1e-6);
    }

    #[test]
    fn the_weights_are_where_the_slope_is_nought() {
        let rows: Vec<Row> = (0..60_u32)
            .map(|n| {
                let x = [1.0, f64::from(n % 7), f64::from(n % 3) - 1.0];
                row(&x, n % 5 == 0 || n % 7 == 6)
            })
            .collect();
        let beliefs = [Belief { mean: 0.3, sd: 0.7 }; 3];
        let fit = fit(&rows, &beliefs);
        let (gradient, _) = slope(&fit.weights, &rows, &beliefs);
        assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
    }

    /// Cases that a line parts perfectly would drive weights without a prior
    /// to infinity.
    #[test]
    fn it_ends_where_cases_are_parted() {
        let rows: Vec<Row> = (0..40)
            .map(|n| row(&[1.0, f64::from(n) * 1e3], n > 20))
            .collect();
        let fit = fit(&rows, &[Belief { mean: 0.0, sd: 3.0 }; 2]);
        assert!(fit.weights.iter().all(|w| w.is_finite()), "{fit:?}");
    }
}
