use std::{
    fs::{File, TryLockError, create_dir_all},
    io,
    time::Duration,
};

use crate::{
    error::{Doing, Error},
    layout::Layout,
    wait,
};

/// Longer than building everything takes on a small machine.
const LIMIT: Duration = Duration::from_mins(40);

/// Held while the cluster is brought up or taken down, so that test processes started together take turns.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock is released when the file is closed")] File);

impl Lock {
    pub(crate) async fn take(layout: &Layout) -> Result<Self, Error> {
        let path = layout.lock();
        let doing = || format!("lock {}", path.display());
        create_dir_all(layout.root()).doing(doing)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).doing(doing)?;
        wait::until("another process that brings the cluster up or down", LIMIT, || async {
            Ok(is_locked_by_us(&file).doing(doing)?.then_some(()))
        })
        .await?;
        Ok(Self(file))
    }

    /// That of another's cluster, which may be gone with its folder; an error where it is held.
    pub(crate) fn of_another(layout: &Layout) -> io::Result<Option<Self>> {
        match File::options().write(true).open(layout.lock()) {
            Ok(file) if is_locked_by_us(&file)? => Ok(Some(Self(file))),
            Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_locked_by_us(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(source),
    }
}
