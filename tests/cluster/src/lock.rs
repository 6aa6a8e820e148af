use std::{
    fs::{File, TryLockError, create_dir_all},
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
            match file.try_lock() {
                Ok(()) => Ok(Some(())),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(source)) => Err(source).doing(doing),
            }
        })
        .await?;
        Ok(Self(file))
    }
}
