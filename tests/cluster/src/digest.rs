use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The SHA-256 of the parts, one after the other, in hexadecimal.
pub(crate) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let hash = parts.into_iter().fold(Sha256::new(), Digest::chain_update);
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
