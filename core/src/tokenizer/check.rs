//! The checks of a trie: after them every walk ends and finds its target.
//!
//! Checked are: the counts of the header; in each block the two counts;
//! siblings in ascending order of their bytes; a parent before each group of
//! siblings, and a group for each parent; at each node a child or a token; the
//! number of tokens and of levels; ids below the size of the vocabulary, none
//! twice; zeros in all padding.

use super::trie::{
    bit, label, word, Block, Ids, Trie, TrieFault, BLOCK_NODES, BLOCK_WORDS, HEAD_WORDS,
};
use super::MAX_TOKEN_BYTES;
use word::{ENDS, FIRST_CHILD, INNER, LABELS, STARTS, TOKENS};

/// The most nodes: more would not fit any vocabulary worth the flash, and
/// sums of counts stay far from overflow.
const MAX_NODES: u32 = 1 << 26;

/// The trie in `words`, all of whose ids are below `vocab`.
///
/// # Errors
/// The word that is wrong, from the start of the header.
pub(super) fn check(words: &[u32], vocab: u32) -> Result<Trie<'_>, TrieFault> {
    let Some((&[nodes, tokens, first_id, shape], rest)) = words.split_first_chunk::<HEAD_WORDS>()
    else {
        return Err(TrieFault(0));
    };
    if nodes == 0 || nodes > MAX_NODES {
        return Err(TrieFault(0));
    }
    if tokens == 0 || tokens > vocab {
        return Err(TrieFault(1));
    }
    let [longest, id_bytes, ..] = shape.to_le_bytes();
    if shape >> 16 != 0 || !(1..=MAX_TOKEN_BYTES).contains(&usize::from(longest)) {
        return Err(TrieFault(3));
    }
    let words_of_blocks = nodes.div_ceil(BLOCK_NODES) as usize * BLOCK_WORDS;
    let split = rest.split_at_checked(words_of_blocks);
    let (blocks, rest) = split.ok_or(TrieFault(0))?;
    let trie = Trie {
        blocks: bytemuck::try_cast_slice::<u32, Block>(blocks).unwrap_or(&[]),
        nodes,
        tokens,
        longest: u32::from(longest),
        ids: ids(rest, tokens, first_id, id_bytes)?,
    };
    Walk::default().check(&trie)?;
    let ids_start = HEAD_WORDS + words_of_blocks;
    check_ids(&trie, vocab).map_err(|()| TrieFault(ids_start as u32))?;
    Ok(trie)
}

/// The table of ids in the words after the blocks.
fn ids(rest: &[u32], tokens: u32, first_id: u32, id_bytes: u8) -> Result<Ids<'_>, TrieFault> {
    let n = tokens as usize;
    let needed = match id_bytes {
        0 => 0,
        2 => n,
        4 => n.checked_mul(2).ok_or(TrieFault(1))?,
        _ => return Err(TrieFault(3)),
    };
    if rest.len() != needed {
        return Err(TrieFault(1));
    }
    if id_bytes != 0 && first_id != 0 {
        return Err(TrieFault(2));
    }
    Ok(match id_bytes {
        0 => Ids::From(first_id),
        2 => {
            let short: &[u16] = bytemuck::cast_slice(rest);
            let (ids, order) = short.split_at_checked(n).unwrap_or((&[], &[]));
            Ids::Short(ids, order)
        }
        _ => {
            let (ids, order) = rest.split_at_checked(n).unwrap_or((&[], &[]));
            Ids::Long(ids, order)
        }
    })
}

/// Ids ascend in the order that the table gives: so it names every rank
/// once, and each id once.
fn check_ids(trie: &Trie<'_>, vocab: u32) -> Result<(), ()> {
    let tokens = trie.tokens;
    let mut least = 0;
    let mut next = |rank: u32| {
        let id = trie.ids.of_rank(rank);
        let good = rank < tokens && id >= least && id < vocab;
        least = id.saturating_add(1);
        good
    };
    let good = match trie.ids {
        Ids::From(first) => first <= vocab && tokens <= vocab - first,
        Ids::Short(_, order) => order.iter().all(|&rank| next(u32::from(rank))),
        Ids::Long(_, order) => order.iter().all(|&rank| next(rank)),
    };
    good.then_some(()).ok_or(())
}

/// Counts over the nodes so far.
#[derive(Default)]
struct Walk {
    /// Groups of siblings that have started.
    groups: u32,
    /// Nodes with children.
    inner: u32,
    /// Tokens.
    ends: u32,
    /// Levels.
    depth: u32,
    /// The group that starts the next level.
    next_level: u32,
    /// The label before.
    label: u8,
    /// Group number `ahead.0` starts at node `ahead.1`.
    ahead: (u32, u32),
}

impl Walk {
    /// Walks over all nodes in order, block by block.
    fn check(mut self, trie: &Trie<'_>) -> Result<(), TrieFault> {
        for (index, block) in trie.blocks.iter().enumerate() {
            let fault = |word: usize| TrieFault((HEAD_WORDS + index * BLOCK_WORDS + word) as u32);
            let first = index as u32 * BLOCK_NODES;
            if block[FIRST_CHILD] != self.group_start(trie, self.inner + 1) {
                return Err(fault(FIRST_CHILD));
            }
            if block[TOKENS] != self.ends {
                return Err(fault(TOKENS));
            }
            let here = (trie.nodes - first).min(BLOCK_NODES);
            for i in 0..here {
                self.node(block, i).map_err(fault)?;
            }
            unused_is_zero(block, here).map_err(fault)?;
        }
        if self.groups != self.inner + 1 || self.ends != trie.tokens {
            return Err(TrieFault(1));
        }
        if self.depth != trie.longest {
            return Err(TrieFault(3));
        }
        Ok(())
    }

    /// The next node; an error is the word of the block that is wrong.
    fn node(&mut self, block: &Block, i: u32) -> Result<(), usize> {
        let is = |word: usize| bit(block, word, i);
        let label = label(block, i);
        if is(STARTS) {
            self.start()?;
        } else if self.groups == 0 {
            return Err(STARTS);
        } else if label <= self.label {
            return Err(LABELS);
        }
        self.label = label;
        self.inner += u32::from(is(INNER));
        self.ends += u32::from(is(ENDS));
        // A node with neither children nor a token leads nowhere.
        if is(INNER) || is(ENDS) {
            Ok(())
        } else {
            Err(ENDS)
        }
    }

    /// A group starts. Its parent must have come: so no path is a circle.
    fn start(&mut self) -> Result<(), usize> {
        if self.groups > self.inner {
            return Err(STARTS);
        }
        if self.groups == self.next_level {
            self.depth += 1;
            self.next_level = self.inner + 1;
        }
        self.groups += 1;
        Ok(())
    }

    /// The node at which a group starts, that of the last time or a later one.
    fn group_start(&mut self, trie: &Trie<'_>, group: u32) -> u32 {
        let (mut number, mut node) = self.ahead;
        while number < group && node < trie.nodes {
            node += 1;
            let block = trie.blocks.get((node / BLOCK_NODES) as usize);
            let starts = |block| bit(block, STARTS, node % BLOCK_NODES);
            number += u32::from(block.is_some_and(starts));
        }
        self.ahead = (number, node.min(trie.nodes));
        self.ahead.1
    }
}

/// The unused room of the last block is zero.
fn unused_is_zero(block: &Block, nodes: u32) -> Result<(), usize> {
    if nodes == BLOCK_NODES {
        return Ok(());
    }
    for word in [STARTS, INNER, ENDS] {
        if (nodes..BLOCK_NODES).any(|i| bit(block, word, i)) {
            return Err(word);
        }
    }
    let unused = |i: u32| label(block, i) == 0;
    (nodes..BLOCK_NODES).all(unused).then_some(()).ok_or(LABELS)
}
