//! Several threads for one token: the rows of a product are shared out.

use kinglet::arch::{matvec, Executor, Prepared};
use kinglet::shape::Matrix;
use kinglet::shape::BLOCK_ROWS;
use rayon::Yield;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Below this many bytes of weights a product is quicker than handing out
/// its halves.
const WORTH_SHARING_BYTES: usize = 64 << 10;

/// Shares each product among this many threads of rayon's pool.
#[derive(Clone, Copy, Debug)]
pub struct Threads(pub usize);

impl Threads {
    /// Does `work` on this thread, which is one of a pool's, whose others stay awake for its products
    /// until it ends: waking a thread takes longer than many a product.
    pub fn awake<R: Send>(self, work: impl FnOnce() -> R + Send) -> R {
        let is_done = AtomicBool::new(false);
        let own = rayon::current_thread_index();
        rayon::scope(|scope| {
            let _ended = Ended(&is_done);
            // Others steal what is oldest: these before any product of `work`.
            for _ in 1..self.0 {
                scope.spawn(|_| {
                    let is_other = rayon::current_thread_index() != own;
                    while is_other && !is_done.load(Relaxed) {
                        if rayon::yield_now() != Some(Yield::Executed) {
                            spin_loop();
                        }
                    }
                });
            }
            work()
        })
    }
}

/// Says so when it is dropped, after a panic as well.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Executor for Threads {
    fn matvec(&self, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
        share(self.0, matrix, x, out);
    }
}

fn share(threads: usize, matrix: &Matrix<'_>, x: &Prepared<'_>, out: &mut [i32]) {
    let blocks = matrix.rows().div_ceil(BLOCK_ROWS);
    let large = 4 * matrix.weights.len() >= WORTH_SHARING_BYTES;
    let mine = blocks * (threads / 2) / threads.max(1);
    if threads < 2 || !large || mine == 0 {
        return matvec(matrix, x, out);
    }
    let (first, rest) = matrix.split_at_block(mine);
    let (out_first, out_rest) = out.split_at_mut(mine * BLOCK_ROWS);
    rayon::join(
        || share(threads / 2, &first, x, out_first),
        || share(threads - threads / 2, &rest, x, out_rest),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet::arch::{prepare, Peak};
    use kinglet::shape::prepared_words;
    use kinglet::shape::{matrix_weight_words, Bits, Layout, Scales};
    use kinglet::Pcg32;

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let mut rng = Pcg32::new(5);
        let (layout, rows, cols) = (Layout::Rows4, 1001, 200);
        for bits in Bits::ALL {
            let words = matrix_weight_words(layout, bits, rows, cols);
            assert!(4 * words > WORTH_SHARING_BYTES);
            let weights: Vec<u32> = (0..words).map(|_| rng.next_u32()).collect();
            let blocks = rows.div_ceil(4);
            let factors: Vec<i16> = (0..4 * blocks).map(|_| rng.next_u32() as i16).collect();
            let places: Vec<u8> = (0..blocks).map(|_| rng.next_u32() as u8 % 32).collect();
            let scales = match bits {
                Bits::Int8 => Scales::Rows(&factors),
                _ => Scales::Blocks {
                    factor: factors[0],
                    places: &places,
                },
            };
            // Products of rows with vectors of 16 bits are made of pieces of their own.
            let matrix = Matrix::new(layout, bits, [rows, cols], &weights, scales).with_fine();
            let mut x: Vec<i32> = (0..cols).map(|_| rng.next_u32() as i32 >> 3).collect();
            let max = x.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0);
            let mut words = vec![0; 2 * prepared_words(layout, bits, cols)];
            let x = prepare(&mut x, Peak { max, exp: 0 }, &matrix, &mut words);
            let mut alone = vec![0; factors.len()];
            matvec(&matrix, &x, &mut alone);
            for threads in [1, 2, 3, 7] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().expect("threads");
                let product = || {
                    let mut shared = vec![0; factors.len()];
                    Threads(threads).matvec(&matrix, &x, &mut shared);
                    shared
                };
                for shared in [product(), pool.install(|| Threads(threads).awake(product))] {
                    assert_eq!(shared[..rows], alone[..rows], "{threads} threads");
                }
            }
        }
    }

    #[test]
    fn a_panic_lets_the_others_go() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
        let pool = pool.expect("threads");
        let work = || pool.install(|| Threads(3).awake(|| panic!("of the work")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        assert_eq!(pool.install(|| Threads(3).awake(|| 5)), 5);
    }
}
