//! The bits of an image's weights, as `quantize` and `train` ask for them.

use crate::quantize::Precision;

/// Bits of what is not like the layers' other matrices.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Precisions {
    /// Precision of embedding and head [default: int8; of a training that of --qat]
    #[arg(long, value_enum)]
    pub head: Option<Precision>,
    /// Precision of the key and value matrices of RWKV-5 to 7, whose errors
    /// stay in the state [default: int8]
    #[arg(long, value_enum)]
    pub keys: Option<Precision>,
}
