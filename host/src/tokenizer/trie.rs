//! Builds the trie that `kinglet::tokenizer::Trie` reads.

use kinglet::tokenizer::{BLOCK_NODES, BLOCK_WORDS, HEAD_WORDS};
use std::collections::VecDeque;
use std::ops::Range;

struct Node {
    label: u8,
    /// First of its siblings.
    starts: bool,
    /// Has children.
    inner: bool,
    /// A token ends here.
    ends: bool,
}

/// The words of a trie of `tokens`, which are sorted, differ, and have 1 to
/// 128 bytes each.
pub fn build(tokens: &[(Vec<u8>, u32)]) -> Vec<u32> {
    let (nodes, ids) = nodes(tokens);
    let longest = tokens.iter().map(|(token, _)| token.len()).max();
    let table = Table::new(&ids);
    let mut words = Vec::with_capacity(HEAD_WORDS);
    words.push(nodes.len() as u32);
    words.push(ids.len() as u32);
    words.push(table.first);
    words.push(longest.unwrap_or(0) as u32 | table.id_bytes << 8);
    // Where the k-th group of siblings starts.
    let starts = (0..nodes.len()).filter(|&at| nodes[at].starts);
    let starts: Vec<u32> = starts.map(|at| at as u32).collect();
    let (mut inner, mut ends) = (0, 0);
    for block in nodes.chunks(BLOCK_NODES as usize) {
        let bits = |bit: fn(&Node) -> bool| {
            let ones = block.iter().enumerate().filter(|(_, node)| bit(node));
            ones.fold(0u32, |bits, (i, _)| bits | 1 << i)
        };
        let first_child = starts.get(inner + 1).copied();
        words.extend([bits(|n| n.starts), bits(|n| n.inner), bits(|n| n.ends)]);
        words.push(first_child.unwrap_or(nodes.len() as u32));
        words.push(ends);
        let mut labels = [0u8; BLOCK_NODES as usize];
        for (label, node) in labels.iter_mut().zip(block) {
            *label = node.label;
        }
        let word = |four: &[u8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        words.extend(labels.chunks(4).map(word));
        inner += block.iter().filter(|node| node.inner).count();
        ends += block.iter().filter(|node| node.ends).count() as u32;
    }
    debug_assert_eq!((words.len() - HEAD_WORDS) % BLOCK_WORDS, 0);
    words.extend(table.words);
    words
}

/// The nodes level by level, and the ids of the tokens in order of theirs.
fn nodes(tokens: &[(Vec<u8>, u32)]) -> (Vec<Node>, Vec<u32>) {
    let (mut nodes, mut ids) = (Vec::new(), Vec::new());
    // Tokens that share their first bytes, and how many.
    let mut groups: VecDeque<(Range<usize>, usize)> = VecDeque::new();
    groups.push_back((0..tokens.len(), 0));
    while let Some((group, depth)) = groups.pop_front() {
        let mut at = group.start;
        while at < group.end {
            let label = tokens[at].0[depth];
            let same = tokens[at..group.end]
                .iter()
                .take_while(|(token, _)| token[depth] == label)
                .count();
            let ends = tokens[at].0.len() == depth + 1;
            let longer = at + usize::from(ends)..at + same;
            nodes.push(Node {
                label,
                starts: at == group.start,
                inner: !longer.is_empty(),
                ends,
            });
            if ends {
                ids.push(tokens[at].1);
            }
            if !longer.is_empty() {
                groups.push_back((longer, depth + 1));
            }
            at += same;
        }
    }
    (nodes, ids)
}

/// How ranks become ids.
struct Table {
    first: u32,
    id_bytes: u32,
    words: Vec<u32>,
}

impl Table {
    fn new(ids: &[u32]) -> Self {
        let first = ids.first().copied().unwrap_or(0);
        if (first..).zip(ids).all(|(expected, &id)| expected == id) {
            return Self {
                first,
                id_bytes: 0,
                words: Vec::new(),
            };
        }
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.sort_by_key(|&rank| ids[rank as usize]);
        let numbers = ids.iter().copied().chain(order);
        let short = ids.iter().all(|&id| id <= u32::from(u16::MAX));
        let words = if short {
            let numbers: Vec<u32> = numbers.collect();
            numbers.chunks(2).map(|two| two[0] | two[1] << 16).collect()
        } else {
            numbers.collect()
        };
        Self {
            first: 0,
            id_bytes: if short { 2 } else { 4 },
            words,
        }
    }
}
