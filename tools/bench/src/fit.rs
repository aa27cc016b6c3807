//! Least squares: what each kind of work costs, from measured sums.

/// A measurement: how often each kind of work was done, and what all of it
/// cost.
#[derive(Clone, Debug)]
pub struct Row {
    pub counts: Vec<f64>,
    pub cost: f64,
}

impl Row {
    /// What all of it costs at these costs.
    pub fn predicted(&self, costs: &[f64]) -> f64 {
        self.counts
            .iter()
            .zip(costs)
            .map(|(n, cost)| n * cost)
            .sum()
    }
}

/// Keeps the equations solvable where two kinds of work come in a fixed ratio:
/// they then share the cost. Far below what is measured.
const RIDGE: f64 = 1e-9;

/// The costs per kind of work, none of them negative, with the least squares
/// of relative errors.
pub fn fit(rows: &[Row]) -> Vec<f64> {
    let kinds = rows.first().map_or(0, |row| row.counts.len());
    let mut used = vec![true; kinds];
    loop {
        let costs = solve(rows, &used);
        // The worst by what it would take away from a measurement.
        let weight = |kind: usize| {
            let counts = rows.iter().map(|row| row.counts[kind] / row.cost);
            costs[kind] * counts.fold(0.0, f64::max)
        };
        let worst = (0..kinds).min_by(|&a, &b| weight(a).total_cmp(&weight(b)));
        match worst {
            Some(kind) if costs[kind] < 0.0 => used[kind] = false,
            _ => return costs,
        }
    }
}

/// The largest relative error of a fit.
pub fn worst_error(rows: &[Row], costs: &[f64]) -> f64 {
    let error = |row: &Row| (row.predicted(costs) / row.cost - 1.0).abs();
    rows.iter().map(error).fold(0.0, f64::max)
}

/// Solves the normal equations of the kinds in use.
fn solve(rows: &[Row], used: &[bool]) -> Vec<f64> {
    let n = used.len();
    // Each measurement counts the same, and so does each kind of work.
    let relative: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| row.counts.iter().map(|count| count / row.cost).collect())
        .collect();
    let scales: Vec<f64> = (0..n)
        .map(|kind| relative.iter().map(|row| row[kind]).fold(0.0, f64::max))
        .collect();
    let is_used = |kind: usize| used[kind] && scales[kind] > 0.0;
    let scaled = |row: &[f64], kind: usize| {
        if is_used(kind) {
            row[kind] / scales[kind]
        } else {
            0.0
        }
    };
    let mut matrix = vec![vec![0.0; n + 1]; n];
    for row in &relative {
        for (i, line) in matrix.iter_mut().enumerate() {
            for (j, cell) in line.iter_mut().enumerate() {
                // The last column is the right side: every relative cost is 1.
                let other = if j < n { scaled(row, j) } else { 1.0 };
                *cell += scaled(row, i) * other;
            }
        }
    }
    for (i, line) in matrix.iter_mut().enumerate() {
        line[i] += if is_used(i) { RIDGE } else { 1.0 };
    }
    let solution = eliminate(matrix);
    let unscaled = solution.into_iter().enumerate();
    unscaled
        .map(|(kind, x)| if is_used(kind) { x / scales[kind] } else { 0.0 })
        .collect()
}

/// Gauss-Jordan with pivots; `matrix` is `[n, n + 1]`, positive definite.
fn eliminate(mut matrix: Vec<Vec<f64>>) -> Vec<f64> {
    let n = matrix.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| {
            let value = |row: usize| matrix[row][column].abs();
            value(a).total_cmp(&value(b))
        });
        matrix.swap(column, pivot.unwrap_or(column));
        let pivot = matrix[column].clone();
        for (i, line) in matrix.iter_mut().enumerate() {
            if i != column {
                let factor = line[column] / pivot[column];
                line.iter_mut()
                    .zip(&pivot)
                    .for_each(|(x, p)| *x -= factor * p);
            }
        }
    }
    (0..n).map(|i| matrix[i][n] / matrix[i][i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(costs: [f64; 3], counts: &[[f64; 3]]) -> Vec<Row> {
        let row = |counts: &[f64; 3]| Row {
            counts: counts.to_vec(),
            cost: counts.iter().zip(costs).map(|(n, cost)| n * cost).sum(),
        };
        counts.iter().map(row).collect()
    }

    const COUNTS: [[f64; 3]; 4] = [
        [1.0, 1e3, 3e4],
        [1.0, 2e3, 5e4],
        [1.0, 4e3, 9e5],
        [1.0, 9e3, 7e5],
    ];

    #[test]
    fn known_costs_are_found() {
        let rows = rows([500.0, 7.0, 0.25], &COUNTS);
        let found = fit(&rows);
        for (found, expected) in found.iter().zip([500.0, 7.0, 0.25]) {
            assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
        }
        assert!(worst_error(&rows, &found) < 1e-5);
    }

    #[test]
    fn no_cost_is_negative() {
        let rows = rows([-900.0, 7.0, 0.25], &COUNTS);
        let found = fit(&rows);
        assert_eq!(found[0], 0.0);
        assert!(found.iter().all(|&cost| cost >= 0.0));
    }

    #[test]
    fn work_in_a_fixed_ratio_shares_its_cost() {
        let counts = COUNTS.map(|[a, b, _]| [a, b, 2.0 * b]);
        let rows = rows([500.0, 3.0, 2.0], &counts);
        let found = fit(&rows);
        assert!((found[1] + 2.0 * found[2] - 7.0).abs() < 1e-2, "{found:?}");
    }
}
