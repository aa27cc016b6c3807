//! Snapshots survive the loss of power at every single write and erase, and
//! are refused where a bit of them is wrong.
#![cfg(feature = "snapshot")]

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use kinglet::snapshot::{Restored, SnapshotError, Snapshots};
use kinglet::{BufferError, Image, Pcg32, Session};

static TINY: &[u8] =
    kinglet::include_image!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl"));

/// The effect of a power cut on the operation under way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// The operation does not happen.
    Before,
    /// Some of its bits change.
    Torn,
    /// As [`Cut::Torn`], and what it touched cannot be read until it is
    /// erased: flash with error correction.
    UnreadableUnit,
    /// Nor can the rest of its sector.
    UnreadableSector,
    /// What it touched reads sometimes as before, sometimes as written.
    Marginal,
    /// So does each of its words, each by itself.
    MarginalWords,
}

/// Those whose effect can be told at once.
const CUTS: [Cut; 4] = [
    Cut::Before,
    Cut::Torn,
    Cut::UnreadableUnit,
    Cut::UnreadableSector,
];

/// All of them.
const ALL_CUTS: [Cut; 6] = [
    Cut::Before,
    Cut::Torn,
    Cut::UnreadableUnit,
    Cut::UnreadableSector,
    Cut::Marginal,
    Cut::MarginalWords,
];

/// A byte that reads as one of two values.
#[derive(Clone, Copy, Debug)]
struct Weak {
    other: u8,
    /// Bytes of one group change together.
    group: u64,
}

/// NOR flash: erasing sets all bits of a sector, writing clears bits, once.
#[derive(Clone)]
struct Flash<const WRITE: usize, const ERASE: usize> {
    bytes: Vec<u8>,
    /// Bytes that cannot be read until they are erased.
    unreadable: Vec<bool>,
    weak: Vec<Option<Weak>>,
    /// Which of their values weak bytes have now.
    mood: u64,
    reads: u64,
    /// Operations until the power is cut: units written, sectors erased.
    left: usize,
    cut: Cut,
    random: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    NoPower,
    Unreadable,
    /// Found by the flash itself: weak bytes were read as erased just now.
    NotErased,
}

impl NorFlashError for Failure {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const WRITE: usize, const ERASE: usize> Flash<WRITE, ERASE> {
    fn new(sectors: usize) -> Self {
        Self {
            bytes: vec![0xff; sectors * ERASE],
            unreadable: vec![false; sectors * ERASE],
            weak: vec![None; sectors * ERASE],
            mood: 0,
            reads: 0,
            left: usize::MAX,
            cut: Cut::Before,
            random: 1,
        }
    }

    /// The same bytes with power for this many operations.
    fn with_power(&self, left: usize, cut: Cut) -> Self {
        Self {
            left,
            cut,
            random: left as u32,
            ..self.clone()
        }
    }

    /// One operation: its bytes become `to`, of which a torn one reaches
    /// some bits only.
    fn change(&mut self, at: usize, to: &[u8]) -> Result<(), Failure> {
        if self.left == 0 && self.cut == Cut::Before {
            return Err(Failure::NoPower);
        }
        let mut random = Pcg32::new(u64::from(self.random));
        let group = u64::from(random.next_u32());
        for (index, &to) in (at..).zip(to) {
            let old = self.now(index);
            let (mask, word) = match (self.left, self.cut) {
                (0, Cut::Marginal) => (0xff, Some(0)),
                (0, Cut::MarginalWords) => (0xff, Some(1 + index / 4)),
                (0, _) => (random.next_u32() as u8, None),
                _ => (0xff, None),
            };
            self.bytes[index] = old & !mask | to & mask;
            self.weak[index] = word.map(|word| Weak {
                other: old,
                group: group + word as u64,
            });
        }
        let unreadable = match self.cut {
            _ if self.left > 0 => 0..0,
            Cut::Before | Cut::Torn | Cut::Marginal | Cut::MarginalWords => 0..0,
            Cut::UnreadableUnit => at..at + to.len(),
            Cut::UnreadableSector => at / ERASE * ERASE..(at / ERASE + 1) * ERASE,
        };
        self.unreadable[at..at + to.len()].fill(false);
        self.unreadable[unreadable].fill(true);
        if self.left == 0 {
            // Torn once; then nothing happens any more.
            self.cut = Cut::Before;
            return Err(Failure::NoPower);
        }
        self.left -= 1;
        Ok(())
    }

    /// The value of a byte as it reads now.
    fn now(&self, index: usize) -> u8 {
        match self.weak[index] {
            Some(weak)
                if Pcg32::new(self.mood ^ weak.group)
                    .next_u32()
                    .is_multiple_of(2) =>
            {
                weak.other
            }
            _ => self.bytes[index],
        }
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Flash<WRITE, ERASE> {
    type Error = Failure;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Flash<WRITE, ERASE> {
    const READ_SIZE: usize = if WRITE < 4 { WRITE } else { 4 };

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
        assert!((offset as usize).is_multiple_of(Self::READ_SIZE));
        assert!(bytes.len().is_multiple_of(Self::READ_SIZE));
        let range = offset as usize..offset as usize + bytes.len();
        if self.unreadable[range.clone()].contains(&true) {
            return Err(Failure::Unreadable);
        }
        for (byte, index) in bytes.iter_mut().zip(range) {
            *byte = self.now(index);
        }
        // Weak bytes keep their values for a few reads.
        self.reads += 1;
        let next = Pcg32::new(self.mood ^ self.reads).next_u32();
        if next.is_multiple_of(8) {
            self.mood = next.into();
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Flash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        let (from, to) = (from as usize, to as usize);
        assert!(from.is_multiple_of(ERASE) && to.is_multiple_of(ERASE) && from < to);
        (from..to)
            .step_by(ERASE)
            .try_for_each(|at| self.change(at, &[0xff; ERASE]))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        let at = offset as usize;
        assert!(at.is_multiple_of(WRITE) && bytes.len().is_multiple_of(WRITE));
        for (at, unit) in (at..).step_by(WRITE).zip(bytes.chunks(WRITE)) {
            let erased = (at..at + WRITE).all(|index| self.now(index) == 0xff);
            let readable = !self.unreadable[at..][..WRITE].contains(&true);
            if !erased && self.weak[at..at + WRITE].iter().any(Option::is_some) {
                return Err(Failure::NotErased);
            }
            assert!(erased && readable, "written twice");
            self.change(at, unit)?;
        }
        Ok(())
    }
}

fn image() -> Image<'static> {
    Image::new(TINY).unwrap()
}

/// The same model, packed another time.
fn other_image() -> Vec<u128> {
    let mut words = vec![0u128; TINY.len().div_ceil(16)];
    bytemuck::cast_slice_mut(&mut words)[..TINY.len()].copy_from_slice(TINY);
    words[1] ^= 1; // the checksum
    words
}

/// The state after this many tokens, and a count.
fn state(tokens: u32) -> Vec<i32> {
    let image = image();
    let mut state = vec![0; image.shape().state_len()];
    let mut scratch = vec![0; image.shape().scratch_len()];
    let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
    (0..tokens).for_each(|token| session.feed(&[token % 256]).unwrap());
    state
}

/// The whole of a flash, and the sectors it needs.
fn sectors<const WRITE: usize, const ERASE: usize>() -> usize {
    let header = *image().header();
    Snapshots::<Flash<WRITE, ERASE>>::region_bytes(&header.shape) as usize / ERASE
}

fn open<const WRITE: usize, const ERASE: usize>(
    flash: Flash<WRITE, ERASE>,
) -> Snapshots<Flash<WRITE, ERASE>> {
    let bytes = flash.bytes.len() as u32;
    Snapshots::new(flash, 0..bytes).unwrap()
}

type Found = Result<(Restored, Vec<i32>), SnapshotError<Failure>>;

fn restore<const WRITE: usize, const ERASE: usize>(flash: &Flash<WRITE, ERASE>) -> Found {
    let image = image();
    let mut state = vec![i32::MIN; image.shape().state_len()];
    let before = state.clone();
    let found = open(flash.with_power(0, Cut::Before)).restore(&image, &mut state);
    if found.is_err() {
        assert_eq!(state, before, "an error changes nothing");
    }
    found.map(|found| (found, state))
}

fn survives_every_cut<const WRITE: usize, const ERASE: usize>() {
    let image = image();
    let mut flash = Flash::<WRITE, ERASE>::new(sectors::<WRITE, ERASE>());
    assert_eq!(restore(&flash), Err(SnapshotError::Missing));
    for save in 0..4 {
        let new = state(save + 1);
        let last = restore(&flash);
        for cut in CUTS {
            let mut operations = 0;
            loop {
                let mut snapshots = open(flash.with_power(operations, cut));
                let saved = snapshots.save(&image, &new, u64::from(save));
                let after = snapshots.release();
                if saved.is_ok() {
                    break;
                }
                assert_eq!(saved, Err(SnapshotError::Flash(Failure::NoPower)));
                assert_eq!(restore(&after), last, "{operations} operations, {cut:?}");
                // The next attempt succeeds, whatever the last one left.
                let mut snapshots = open(after.with_power(usize::MAX, cut));
                snapshots.save(&image, &new, 77).unwrap();
                let (found, found_bits) = restore(&snapshots.release()).unwrap();
                assert_eq!((found.tokens, found_bits), (77, new.clone()));
                operations += 1;
            }
            assert!(operations > image.shape().state_bytes() / WRITE);
        }
        let mut snapshots = open(flash);
        snapshots.save(&image, &new, u64::from(save)).unwrap();
        flash = snapshots.release();
        let expected = Restored {
            tokens: u64::from(save),
            sequence: save,
        };
        assert_eq!(restore(&flash), Ok((expected, new.clone())));
    }
}

#[test]
fn every_cut_leaves_the_last_good_state() {
    survives_every_cut::<4, 4096>();
    survives_every_cut::<8, 2048>();
    survives_every_cut::<32, 512>();
    survives_every_cut::<1, 1024>();
    survives_every_cut::<256, 4096>();
}

/// The state of a save, made up.
fn numbered(save: u64) -> Vec<i32> {
    let len = image().shape().state_len();
    (0..len).map(|index| (save + index as u64) as i32).collect()
}

/// Cuts the power again and again on one flash, at any operation and in any
/// way. Each time it comes back, a completed save is there, or one begun since.
fn survives_cuts_of_weak_cells<const WRITE: usize, const ERASE: usize>(cuts: u64) {
    let image = image();
    let mut random = Pcg32::new(cuts + WRITE as u64);
    let mut flash = Flash::<WRITE, ERASE>::new(sectors::<WRITE, ERASE>());
    let operations = 2 * (64 + image.shape().state_bytes() + 24) / WRITE + 8;
    // The last save that was completed, and the last begun; each has the next
    // number.
    let (mut completed, mut begun) = (None, 0);
    for boot in 0..cuts {
        let cut = ALL_CUTS[random.next_u32() as usize % ALL_CUTS.len()];
        // Half of them at the first operations of a save: a note and an erase.
        let most = if random.next_u32().is_multiple_of(2) {
            3
        } else {
            operations
        };
        let left = random.next_u32() as usize % most;
        flash = Flash {
            mood: random.next_u32().into(),
            random: random.next_u32(),
            ..flash.with_power(left, cut)
        };
        let mut snapshots = open(flash);
        let mut state = vec![0; image.shape().state_len()];
        match snapshots.restore(&image, &mut state) {
            Ok(found) => {
                let may_be = completed.unwrap_or(1)..=begun;
                assert!(may_be.contains(&found.tokens), "{boot}: {found:?}");
                assert_eq!(state, numbered(found.tokens), "{boot}");
            }
            Err(error) => assert_eq!(completed, None, "{boot}: {error:?}"),
        }
        loop {
            begun += 1;
            match snapshots.save(&image, &numbered(begun), begun) {
                Ok(()) => completed = Some(begun),
                Err(SnapshotError::Flash(Failure::NoPower)) => break,
                Err(error) => panic!("{boot}: {error:?}"),
            }
        }
        flash = snapshots.release();
    }
    assert!(completed.is_some());
}

#[test]
fn a_hundred_thousand_cuts_leave_a_completed_save() {
    survives_cuts_of_weak_cells::<4, 1024>(30_000);
    survives_cuts_of_weak_cells::<8, 512>(40_000);
    survives_cuts_of_weak_cells::<256, 512>(30_000);
}

#[test]
fn ten_thousand_flipped_bits_are_refused() {
    let image = image();
    let mut snapshots = open(Flash::<8, 2048>::new(sectors::<8, 2048>()));
    snapshots.save(&image, &state(3), 3).unwrap();
    let one = snapshots.release();
    let mut snapshots = open(one.clone());
    snapshots.save(&image, &state(9), 9).unwrap();
    let two = snapshots.release();
    // Record, state and mark: what follows them is not part of the snapshot.
    let bytes = 64 + image.shape().state_bytes().next_multiple_of(8) + 8;
    let mut random = Pcg32::new(4);
    let mut flip = |flash: &Flash<8, 2048>, start: usize| {
        let bit = random.next_u32() as usize % (8 * bytes);
        let mut flash = flash.clone();
        flash.bytes[start + bit / 8] ^= 1 << (bit % 8);
        flash
    };
    for _ in 0..10_000 {
        let error = restore(&flip(&one, 0)).unwrap_err();
        let refused = [SnapshotError::Missing, SnapshotError::Damaged];
        assert!(refused.contains(&error), "{error:?}");
        // The last save is damaged: the one before is there.
        let (found, found_bits) = restore(&flip(&two, two.bytes.len() / 2)).unwrap();
        assert_eq!((found.tokens, found_bits), (3, state(3)));
        // The one before is damaged: the last is there.
        let (found, _) = restore(&flip(&two, 0)).unwrap();
        assert_eq!(found.tokens, 9);
    }
}

#[test]
fn another_model_is_refused_and_not_in_the_way() {
    let image = image();
    let words = other_image();
    let other = Image::new(bytemuck::cast_slice(&words)).unwrap();
    let mut snapshots = open(Flash::<4, 1024>::new(sectors::<4, 1024>()));
    snapshots.save(&other, &state(5), 5).unwrap();
    let mut buffer = state(0);
    let mut restore = |snapshots: &mut Snapshots<_>, image: &Image<'_>| {
        let found = snapshots.restore(image, &mut buffer);
        found.map(|found: Restored| found.tokens)
    };
    assert_eq!(
        restore(&mut snapshots, &image),
        Err(SnapshotError::OtherModel)
    );
    // One slot for each, then two for the one that is in use.
    snapshots.save(&image, &state(6), 6).unwrap();
    assert_eq!(restore(&mut snapshots, &image), Ok(6));
    assert_eq!(restore(&mut snapshots, &other), Ok(5));
    snapshots.save(&image, &state(7), 7).unwrap();
    assert_eq!(restore(&mut snapshots, &image), Ok(7));
    assert_eq!(
        restore(&mut snapshots, &other),
        Err(SnapshotError::OtherModel)
    );
}

/// None of the flash can be read: that is an error, and a save starts over.
#[test]
fn where_no_slot_can_be_read_the_next_save_helps() {
    let image = image();
    let mut flash = Flash::<8, 2048>::new(sectors::<8, 2048>());
    flash.unreadable.fill(true);
    let unreadable = SnapshotError::Flash(Failure::Unreadable);
    assert_eq!(restore(&flash), Err(unreadable));
    // With one slot that can be read and is empty, nothing was saved yet.
    let half = flash.unreadable.len() / 2;
    for empty in [0..half, half..2 * half] {
        let mut flash = flash.clone();
        flash.unreadable[empty].fill(false);
        assert_eq!(restore(&flash), Err(SnapshotError::Missing));
    }
    for tokens in [3, 5] {
        let mut snapshots = open(flash);
        snapshots.save(&image, &state(2), tokens).unwrap();
        flash = snapshots.release();
        assert_eq!(restore(&flash).unwrap().0.tokens, tokens);
    }
    assert!(!flash.unreadable.contains(&true), "both slots are in use");
}

/// A snapshot with a worn bit is good when it is looked for, and perhaps no
/// more when it is read: then the other one is restored.
#[test]
fn a_snapshot_that_changes_while_it_is_restored_is_not_good() {
    let image = image();
    let mut snapshots = open(Flash::<8, 2048>::new(sectors::<8, 2048>()));
    for save in [1, 2] {
        snapshots.save(&image, &numbered(save), save).unwrap();
    }
    let mut flash = snapshots.release();
    let worn = flash.bytes.len() / 2 + 100;
    let other = flash.bytes[worn] ^ 4;
    flash.weak[worn] = Some(Weak { other, group: 0 });
    let mut seen = [0; 3];
    for mood in 0..1000 {
        flash.mood = mood;
        let mut state = vec![0; image.shape().state_len()];
        let found = open(flash.clone()).restore(&image, &mut state).unwrap();
        assert_eq!(state, numbered(found.tokens));
        seen[found.tokens as usize] += 1;
    }
    assert!(seen[1] > 100 && seen[2] > 100, "{seen:?}");
}

#[test]
fn what_does_not_fit_is_said() {
    let image = image();
    let flash = Flash::<4, 256>::new(2);
    let new = |region| Snapshots::new(flash.clone(), region).map(|_| ());
    assert_eq!(new(0..512), Ok(()));
    for region in [0..1024, 4..512, 0..500] {
        assert_eq!(
            new(region.clone()),
            Err(SnapshotError::Region),
            "{region:?}"
        );
    }
    let needed = Snapshots::<Flash<4, 256>>::region_bytes(image.shape());
    let mut snapshots = open(flash);
    let mut state = state(1);
    let saved = snapshots.save(&image, &state, 0);
    assert_eq!(saved, Err(SnapshotError::TooSmall(needed)));
    let len = image.shape().state_len();
    let short = Err(SnapshotError::Buffer(BufferError::State(len)));
    assert_eq!(snapshots.save(&image, &state[1..], 0), short);
    let restored = snapshots.restore(&image, &mut state[1..]);
    assert_eq!(restored.map(|_| ()), short);
}
