//! Asks the kernel for random bytes. By its call and not by its device files, which a static binary would need else.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// So many bytes. The kernel gives as few at once.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let given = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if given == N { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
