//! Where everything lies in the lean verifier's memory.
//!
//! ```text
//! 0x00  results and errors, as Solidity's scratch space
//! 0x80  the compiler's
//!       accumulator of the main chain (2 words), its scalar (1 word)
//!       length of the constants, as Solidity lays out `bytes memory`
//!       r, commitments of the verifying key, arguments of the pairing
//!       a product and the sum that it goes to (4 words), a second chain (3 words), spare (4 words)
//!       transcript: for each phase `hash or digest ‖ instances (first phase) ‖ bytes of the proof`
//!       intermediate values
//! ```
//!
//! So the assembly is memory-safe in Solidity's sense, although it allocates nothing: it ends with
//! `return` or `revert`, and no Solidity code runs after it.

use super::protocol::{Commitment, Protocol};
use crate::field::{G2_GENERATOR, SCALAR_MODULUS};
use alloy::primitives::U256;
use std::collections::{BTreeMap, HashMap};

/// The first address that is ours. What lies before it is the compiler's: by way of Yul, and with its
/// optimizer, it keeps values there for which the stack has no room. Measured: 1.8 to 2 words for each
/// scalar of the proof.
fn reserved(protocol: &Protocol) -> usize {
    0x80 + 32 * (2 * protocol.scalars.len() + 8)
}

/// A stretch of the transcript in memory.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// The word that the hash begins with.
    pub(crate) start: usize,
    /// Where the bytes of the proof begin.
    pub(crate) proof: usize,
    /// After the last byte that is hashed.
    pub(crate) end: usize,
}

/// Addresses in memory, in bytes, of all that is drawn above.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The accumulator of the main chain, its scalar, and two more words for arguments.
    pub(crate) accumulator: usize,
    /// Where the constants begin: the first is r, where the modexp's modulus belongs too.
    pub(crate) start: usize,
    /// Words of the constants, in order.
    pub(crate) constants: Vec<U256>,
    /// What the words are, for the reader.
    pub(crate) comments: Vec<(usize, String)>,
    /// Distinct commitments of the key other than zero, with their indices, and where they are.
    pub(crate) key: Vec<(Vec<usize>, usize)>,
    /// After the last commitment of the key: the pairing's arguments.
    pub(crate) pairing: usize,
    /// Numbers that the code uses more than once.
    pub(crate) literals: usize,
    /// A product; the sum follows.
    pub(crate) product: usize,
    /// The sum that products are added to.
    pub(crate) sum: usize,
    /// The second chain's accumulator; its scalar follows.
    pub(crate) chain: usize,
    /// Room for two points that no chain is using.
    pub(crate) spare: usize,
    pub(crate) segments: Vec<Segment>,
    /// The word of the last hash.
    pub(crate) last_hash: usize,
    /// The end of the transcript, where slots for intermediate values begin.
    pub(crate) end: usize,
    bytes: BTreeMap<usize, (usize, usize)>,
}

impl Layout {
    pub(crate) fn new(protocol: &Protocol, literals: &[U256]) -> Self {
        let accumulator = reserved(protocol);
        let start = accumulator + 0xa0;
        let mut constants = vec![SCALAR_MODULUS];
        let mut comments = vec![(0, "r, the order of the scalar field".to_owned())];
        let mut key: Vec<(Vec<usize>, usize)> = Vec::new();
        let mut known: HashMap<(U256, U256), usize> = HashMap::new();
        for (index, point) in protocol.key.iter().enumerate() {
            if point.0.is_zero() && point.1.is_zero() {
                continue;
            }
            if let Some(place) = known.get(point) {
                key[*place].0.push(index);
                continue;
            }
            known.insert(*point, key.len());
            comments.push((constants.len(), format!("commitment {index} of the verifying key")));
            key.push((vec![index], start + 32 * constants.len()));
            constants.extend([point.0, point.1]);
        }
        let pairing = start + 32 * constants.len();
        comments.push((constants.len(), "pairing: left point, [1] in G2".to_owned()));
        constants.extend([U256::ZERO; 2]);
        constants.extend(G2_GENERATOR);
        comments.push((constants.len(), "pairing: right point, -[tau] in G2".to_owned()));
        constants.extend([U256::ZERO; 2]);
        constants.extend(protocol.neg_s_g2);
        let literals_at = start + 32 * constants.len();
        if !literals.is_empty() {
            comments.push((constants.len(), "numbers that occur more than once".to_owned()));
        }
        constants.extend(literals);
        let product = start + 32 * constants.len();
        let (sum, chain) = (product + 0x40, product + 0x80);
        let spare = chain + 0x60;
        let mut at = spare + 0x80;
        let mut segments = Vec::new();
        let mut bytes = BTreeMap::new();
        for (index, phase) in protocol.phases.iter().enumerate() {
            let head = 32 + if index == 0 { 32 * protocol.num_instances } else { 0 };
            let (start, proof) = (at, at + head);
            at = proof + phase.absorbs.len();
            bytes.insert(phase.absorbs.start, (phase.absorbs.end, proof));
            segments.push(Segment { start, proof, end: at });
        }
        // W′ is copied behind W, and not hashed.
        bytes.insert(protocol.proof_len - 0x40, (protocol.proof_len, at));
        let last_hash = at + 0x40;
        Self {
            accumulator,
            start,
            constants,
            comments,
            key,
            pairing,
            literals: literals_at,
            product,
            sum,
            chain,
            spare,
            segments,
            last_hash,
            // A further challenge of the last phase would hash one byte after its hash.
            end: last_hash + 0x40,
            bytes,
        }
    }

    /// Where a byte of the proof lies in memory.
    pub(crate) fn proof(&self, offset: usize) -> usize {
        // Every byte lies in a phase or in W′; an offset beyond would be a bug of the reader.
        self.bytes
            .range(..=offset)
            .next_back()
            .map_or(0, |(start, (_, address))| address + offset - start)
    }

    /// The word that the hash after phase `index` goes to, to begin the next.
    pub(crate) fn hash_after(&self, index: usize) -> usize {
        self.segments.get(index + 1).map_or(self.last_hash, |segment| segment.start)
    }

    /// Where the n-th instance lies.
    pub(crate) fn instance(&self, index: usize) -> usize {
        self.segments.first().map_or(0, |segment| segment.start) + 32 + 32 * index
    }

    /// Where a commitment lies; `None` for the quotient and for a commitment of the key that is
    /// zero.
    pub(crate) fn commitment(&self, commitment: Commitment) -> Option<usize> {
        match commitment {
            Commitment::Proof(offset) => Some(self.proof(offset)),
            Commitment::Key(index) => self
                .key
                .iter()
                .find(|(indices, _)| indices.contains(&index))
                .map(|(_, address)| *address),
            Commitment::Quotient => None,
        }
    }
}
