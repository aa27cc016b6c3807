//! A vocabulary as a succinct trie, read in place.
//!
//! Nodes are numbered level by level, siblings in order of their bytes; the
//! root has no number. Then three bits per node define the shape: whether a
//! node is the first of its siblings, whether it has children, and whether
//! a token ends at it. The children of the k-th node that has some are the
//! k-th group of siblings after the root's: a step counts bits in place of
//! following pointers. Blocks of 32 nodes carry the counts so far.
//! `docs/format.md` is normative.
//!
//! | step | cost |
//! |---|---|
//! | to the child by a byte | a population count in the node's block, a scan for the group, a binary search among the siblings |
//! | to the parent | a binary search among the blocks, a population count |
//! | token of a node | a population count |
//! | node of a token | a binary search among the blocks |
//!
//! A step down scans few blocks, because the block holds where its first child is.

use super::TokenText;

/// Nodes of a block.
pub const BLOCK_NODES: u32 = 32;

/// Words of a block: three of bits, two counts, then 32 bytes.
pub const BLOCK_WORDS: usize = 13;

/// Words in front of the blocks.
pub const HEAD_WORDS: usize = 4;

pub(super) type Block = [u32; BLOCK_WORDS];

/// Where the words of a block stand.
pub(super) mod word {
    /// Bit i: node i is the first of its siblings.
    pub const STARTS: usize = 0;
    /// Bit i: node i has children.
    pub const INNER: usize = 1;
    /// Bit i: a token ends at node i.
    pub const ENDS: usize = 2;
    /// The first child of the block's first node that has children; where
    /// it has none, that of a later one; else the number of nodes.
    pub const FIRST_CHILD: usize = 3;
    /// Tokens that end in the blocks before.
    pub const TOKENS: usize = 4;
    /// The byte that leads to node i is byte i from here.
    pub const LABELS: usize = 5;
}
use word::{ENDS, FIRST_CHILD, INNER, LABELS, STARTS, TOKENS};

/// Words that are no trie; the number is the word that shows it.
/// Words are counted from the first of the header, 32 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrieFault(pub u32);

impl core::fmt::Display for TrieFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the trie is damaged at word {}", self.0)
    }
}

impl core::error::Error for TrieFault {}

/// A checked vocabulary, borrowed from an image.
///
/// Tokens have a rank: their place in order of length, then of bytes. It is
/// the order in which their nodes are numbered.
///
/// # Example
/// ```
/// use kinglet::tokenizer::{Tokenizer, Trie, BLOCK_WORDS, HEAD_WORDS};
///
/// // The entries "a", "b" and "ab": nodes, tokens, first id, longest entry; then
/// // for nodes a, b and ab the bits, the counts and the bytes that lead to them.
/// let mut words = [0; HEAD_WORDS + BLOCK_WORDS];
/// words[..4].copy_from_slice(&[3, 3, 1, 2]);
/// words[4..9].copy_from_slice(&[0b101, 0b001, 0b111, 2, 0]);
/// words[9] = u32::from_le_bytes(*b"abb\0");
///
/// let tokenizer = Tokenizer::trie(Trie::new(&words, 4).unwrap());
/// let tokens: Result<Vec<u32>, _> = tokenizer.encode(b"abba").collect();
/// assert_eq!(tokens, Ok(vec![3, 2, 1]));
/// assert_eq!(&*tokenizer.decode(3), b"ab");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Trie<'i> {
    pub(super) blocks: &'i [Block],
    /// Nodes, 1 to 2^26.
    pub(super) nodes: u32,
    /// Entries: nodes at which a token ends.
    pub(super) tokens: u32,
    /// Levels: bytes of the longest entry, 1 to 128.
    pub(super) longest: u32,
    pub(super) ids: Ids<'i>,
}

/// How ranks become token ids.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ids<'i> {
    /// The id is the rank plus this number.
    From(u32),
    /// The id of each rank, then the ranks in order of their ids.
    Short(&'i [u16], &'i [u16]),
    /// The same, with 32 bits each.
    Long(&'i [u32], &'i [u32]),
}

impl Ids<'_> {
    /// The id of a rank; 0 where a table does not have it.
    pub(super) fn of_rank(&self, rank: u32) -> u32 {
        let at = rank as usize;
        match *self {
            Self::From(first) => first.wrapping_add(rank),
            Self::Short(ids, _) => ids.get(at).map_or(0, |&id| u32::from(id)),
            Self::Long(ids, _) => ids.get(at).copied().unwrap_or(0),
        }
    }

    /// The rank of an id, by binary search in a table. Where the vocabulary does
    /// not have the id: `None`, or a rank that is too large.
    fn rank_of(&self, id: u32) -> Option<u32> {
        match *self {
            Self::From(first) => id.checked_sub(first),
            Self::Short(_, order) => {
                let found = order.binary_search_by_key(&id, |&rank| self.of_rank(rank.into()));
                found.ok().and_then(|at| order.get(at)).map(|&r| r.into())
            }
            Self::Long(_, order) => {
                let found = order.binary_search_by_key(&id, |&rank| self.of_rank(rank));
                found.ok().and_then(|at| order.get(at)).copied()
            }
        }
    }
}

/// A place in the trie while a text is matched: the first of the children
/// of the last node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Children(u32);

/// The result of a step by one byte.
pub(super) struct Step {
    /// The token that ends here.
    pub token: Option<u32>,
    /// The place of longer ones.
    pub children: Option<Children>,
}

impl<'i> Trie<'i> {
    /// Checks `words` as far as anything depends on them, and borrows them.
    /// All token ids are below `vocab`. The check reads every node twice, in
    /// order. `docs/format.md`, chapter "Vocabulary", defines the words.
    ///
    /// # Errors
    /// [`TrieFault`]; hostile words never cause a panic.
    pub fn new(words: &'i [u32], vocab: u32) -> Result<Self, TrieFault> {
        super::check::check(words, vocab)
    }

    /// Entries of the vocabulary.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Bytes of the longest token.
    pub fn longest_token_bytes(&self) -> u32 {
        self.longest
    }

    /// Nodes, the root not counted.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// The children of the root: the first group of siblings.
    pub(super) const ROOT: Children = Children(0);

    /// The longest token that `text` begins with, and its bytes.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(u32, usize)> {
        let mut found = None;
        let mut at = Self::ROOT;
        for (before, &byte) in text.iter().enumerate() {
            let Some(step) = self.step(at, byte) else {
                break;
            };
            if let Some(token) = step.token {
                found = Some((token, before + 1));
            }
            match step.children {
                Some(children) => at = children,
                None => break,
            }
        }
        // Most nodes on the way are tokens: only the last one's id matters.
        found.map(|(rank, len)| (self.ids.of_rank(rank), len))
    }

    /// The id of a token that [`Self::step`] gave.
    pub(super) fn id(&self, rank: u32) -> u32 {
        self.ids.of_rank(rank)
    }

    /// A step by one byte; `None` where no token continues.
    pub(super) fn step(&self, children: Children, byte: u8) -> Option<Step> {
        let node = self.find(children.0, byte)?;
        let block = self.block(node)?;
        let bit = 1 << (node % BLOCK_NODES);
        let before = |bits: u32| (bits & (bit - 1)).count_ones();
        Some(Step {
            token: (block[ENDS] & bit != 0).then(|| block[TOKENS] + before(block[ENDS])),
            children: (block[INNER] & bit != 0)
                .then(|| Children(self.start_behind(block[FIRST_CHILD], before(block[INNER])))),
        })
    }

    /// The bytes of the token with this id.
    pub(super) fn text(&self, id: u32) -> TokenText {
        let mut text = TokenText::default();
        let rank = self.ids.rank_of(id).filter(|&rank| rank < self.tokens);
        let mut node = rank.and_then(|rank| self.end_of(rank));
        while let Some(at) = node {
            if !text.push_front(self.label(at)) {
                break;
            }
            node = self.parent(at);
        }
        text
    }

    fn block(&self, node: u32) -> Option<&'i Block> {
        self.blocks.get((node / BLOCK_NODES) as usize)
    }

    fn label(&self, node: u32) -> u8 {
        self.block(node)
            .map_or(0, |block| label(block, node % BLOCK_NODES))
    }

    /// The node among the siblings from `start` on that `byte` leads to.
    fn find(&self, start: u32, byte: u8) -> Option<u32> {
        // Most nodes have one child, and it is the one.
        let label = self.label(start);
        if label >= byte {
            return (label == byte).then_some(start);
        }
        let (mut low, mut high) = (start + 1, self.start_behind(start, 1));
        while low < high {
            let middle = low + (high - low) / 2;
            let label = self.label(middle);
            if label == byte {
                return Some(middle);
            }
            if label < byte {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        None
    }

    /// The start of the `n`-th group of siblings after that at `start`.
    fn start_behind(&self, start: u32, n: u32) -> u32 {
        let mut n = n;
        let mut first = start - start % BLOCK_NODES;
        let mut mask = u32::MAX << (start % BLOCK_NODES);
        while let Some(block) = self.block(first) {
            let starts = block[STARTS] & mask;
            let count = starts.count_ones();
            if n < count {
                return first + nth_one(starts, n);
            }
            n -= count;
            mask = u32::MAX;
            first += BLOCK_NODES;
        }
        self.nodes
    }

    /// The node at which the token of this rank ends.
    fn end_of(&self, rank: u32) -> Option<u32> {
        let after = self.blocks.partition_point(|block| block[TOKENS] <= rank);
        let at = after.checked_sub(1)?;
        let block = self.blocks.get(at)?;
        Some(at as u32 * BLOCK_NODES + nth_one(block[ENDS], rank - block[TOKENS]))
    }

    /// The node above; `None` for those below the root.
    fn parent(&self, node: u32) -> Option<u32> {
        let after = self
            .blocks
            .partition_point(|block| block[FIRST_CHILD] <= node);
        let at = after.checked_sub(1)?;
        let block = self.blocks.get(at)?;
        let n = self.starts_between(block[FIRST_CHILD], node);
        Some(at as u32 * BLOCK_NODES + nth_one(block[INNER], n))
    }

    /// The number of groups of siblings that start after `start`, up to `node`.
    fn starts_between(&self, start: u32, node: u32) -> u32 {
        let mut count = 0;
        let mut first = start - start % BLOCK_NODES;
        let mut mask = (u32::MAX << 1) << (start % BLOCK_NODES);
        while let Some(block) = self.block(first) {
            let last = first == node - node % BLOCK_NODES;
            if last {
                mask &= u32::MAX >> (BLOCK_NODES - 1 - node % BLOCK_NODES);
            }
            count += (block[STARTS] & mask).count_ones();
            if last {
                break;
            }
            mask = u32::MAX;
            first += BLOCK_NODES;
        }
        count
    }
}

/// Bit `i` of a block's word.
pub(super) fn bit(block: &Block, word: usize, i: u32) -> bool {
    block
        .get(word)
        .is_some_and(|bits| bits >> (i % 32) & 1 != 0)
}

/// The byte that leads to node `i` of a block.
pub(super) fn label(block: &Block, i: u32) -> u8 {
    let word = block.get(LABELS + (i / 4) as usize).copied().unwrap_or(0);
    (word >> (8 * (i % 4))) as u8
}

/// The place of the `n`-th one, counted from zero; there are more than `n`.
fn nth_one(bits: u32, n: u32) -> u32 {
    let mut bits = bits;
    for _ in 0..n {
        bits &= bits.wrapping_sub(1);
    }
    bits.trailing_zeros() % BLOCK_NODES
}
