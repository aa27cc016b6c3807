//! Muon (Jordan and others, <https://kellerjordan.github.io/posts/muon/>): a
//! matrix moves along the nearest matrix to its gradient's average whose
//! directions all count the same.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2};

/// Coefficients of the polynomial `a s + b s^3 + c s^5`, which brings singular values
/// of 0.01 to 1 near 1 when it is applied [`ROUNDS`] times.
const POLYNOMIAL: [f32; 3] = [3.4445, -4.7750, 2.0315];

const ROUNDS: usize = 5;

/// The root mean square of a step's elements, as AdamW's steps have it (Liu and
/// others, arXiv 2502.16982): both then take one learning rate and one decay.
const STEP: f32 = 0.2;

/// The step for an average `[rows, cols]` of gradients, of elements of the size that AdamW's
/// have.
pub fn step(average: ArrayView2<'_, f32>) -> Array2<f32> {
    let (rows, cols) = average.dim();
    // The products of the shorter side are the cheaper ones.
    let mut x = match rows > cols {
        true => average.t().to_owned(),
        false => average.to_owned(),
    };
    let length = x.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    x.mapv_inplace(|x| x / length);
    let short = rows.min(cols);
    let [a, b, c] = POLYNOMIAL;
    let (mut square, mut fourth) = (Array2::zeros((short, short)), Array2::zeros((short, short)));
    let mut next = x.clone();
    for _ in 0..ROUNDS {
        general_mat_mul(1.0, &x, &x.t(), 0.0, &mut square);
        fourth.assign(&square);
        general_mat_mul(c, &square, &square, b, &mut fourth);
        next.assign(&x);
        general_mat_mul(1.0, &fourth, &x, a, &mut next);
        std::mem::swap(&mut x, &mut next);
    }
    let size = STEP * (rows.max(cols) as f32).sqrt();
    x.mapv_inplace(|x| x * size);
    match rows > cols {
        true => x.reversed_axes(),
        false => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn all_directions_of_a_step_count_the_same() {
        let mut random = Random::new(1);
        for shape in [(8, 24), (24, 8), (16, 16)] {
            // One direction has a hundred times the others' length.
            let mut average = Array2::from_shape_fn(shape, |_| random.normal());
            average.row_mut(0).mapv_inplace(|x| 100.0 * x);
            let step = step(average.view());
            assert_eq!(step.dim(), shape);
            let gram = match shape.0 > shape.1 {
                true => step.t().dot(&step),
                false => step.dot(&step.t()),
            };
            let size = STEP * STEP * shape.0.max(shape.1) as f32;
            for ((row, col), &x) in gram.indexed_iter() {
                let expected = if row == col { 1.0 } else { 0.0 };
                assert!((x / size - expected).abs() < 0.6, "{shape:?}: {x}");
            }
            let along: f32 = (&step * &average).sum();
            assert!(along > 0.0);
        }
    }
}
