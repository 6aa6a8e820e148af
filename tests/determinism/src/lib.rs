//! What a process takes for random follows from a seed: the keys of hash maps, UUIDs, the spread of delays.
//!
//! It takes the place of libc's `getrandom`, which is where all of them begin. For tests alone.

use std::{
    ffi::{c_uint, c_void},
    sync::atomic::{AtomicU64, Ordering},
};

static STATE: AtomicU64 = AtomicU64::new(0);

/// Begins anew from this seed. Exact in a process that has drawn nothing before.
pub fn seed(seed: u64) {
    STATE.store(seed, Ordering::SeqCst);
}

/// `SplitMix64`.
fn next() -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = STATE.fetch_add(GOLDEN, Ordering::SeqCst).wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// In the place of libc's.
///
/// # Safety
/// `buffer` has to be valid for writes of `length` bytes, as for libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, _flags: c_uint) -> isize {
    let mut at = 0;
    while at < length {
        let bytes = next().to_ne_bytes();
        let count = bytes.len().min(length - at);
        // SAFETY: `at + count` is at most `length`.
        unsafe { buffer.cast::<u8>().add(at).copy_from_nonoverlapping(bytes.as_ptr(), count) };
        at += count;
    }
    length.cast_signed()
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    #[test]
    fn the_keys_of_hash_maps_follow_from_the_seed() {
        let drawn = || {
            super::seed(7);
            std::thread::spawn(|| RandomState::new().hash_one(1)).join().ok()
        };
        assert_eq!(drawn(), drawn());
    }
}
