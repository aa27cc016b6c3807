//! The sizes of a model, and which of them a tensor's shape is made of.

/// A size of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Vocabulary entries.
    Vocab,
    /// Rows of the head.
    Outputs,
    /// Channels.
    Embd,
    /// Hidden channels of the channel mix.
    Ffn,
    /// Heads.
    Heads,
    /// Channels of a head.
    HeadSize,
    /// One of the low-rank matrices' ranks.
    Rank(usize),
    /// The same five times: the mixed vectors of RWKV-6.
    FiveRanks(usize),
    /// The number of mixed vectors.
    Five,
}

/// The sizes of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dimensions {
    /// Layers, L.
    pub layers: usize,
    /// Channels, C.
    pub embd: usize,
    /// Hidden channels of the channel mix, F.
    pub ffn: usize,
    /// Vocabulary entries, V.
    pub vocab: usize,
    /// Classes of a model that answers with a label; 0 where the head's rows
    /// are the vocabulary.
    pub classes: usize,
    /// Heads, H; 0 for RWKV-4.
    pub heads: usize,
    /// Ranks of the low-rank matrices: decay (RWKV-6 and 7), token shift (6)
    /// or learning rate (7), value (7), gate (7); 0 where there is none.
    pub ranks: [usize; 4],
}

impl Dimensions {
    /// Channels of a head, N; 0 for RWKV-4.
    pub fn head_size(&self) -> usize {
        self.embd.checked_div(self.heads).unwrap_or(0)
    }

    /// Rows of the head: the vocabulary's entries, or the classes.
    pub fn outputs(&self) -> usize {
        match self.classes {
            0 => self.vocab,
            classes => classes,
        }
    }

    /// One of the sizes that tensors have.
    pub fn size(&self, size: Size) -> usize {
        match size {
            Size::Vocab => self.vocab,
            Size::Outputs => self.outputs(),
            Size::Embd => self.embd,
            Size::Ffn => self.ffn,
            Size::Heads => self.heads,
            Size::HeadSize => self.head_size(),
            Size::Rank(rank) => self.ranks[rank],
            Size::FiveRanks(rank) => 5 * self.ranks[rank],
            Size::Five => 5,
        }
    }
}
