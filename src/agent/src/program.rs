//! Looks at what the program lets know of itself, by two files.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::news::{self, News};

/// More than the longest message, so that what is cut off is cut off there, at a character.
const LARGEST_READ: u64 = 4 * news::LONGEST_MESSAGE as u64;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Program {
    pub activity_file: Option<PathBuf>,
    pub busy_file: Option<PathBuf>,
}

impl Program {
    /// All there is to tell.
    pub fn look(&self) -> News {
        News {
            busy: self.is_busy(),
            activity: self.activity_file.as_deref().and_then(modified),
            message: self.busy_file.as_deref().and_then(read).and_then(|line| news::message(&line)),
        }
    }

    /// Whether it is busy, if it tells. Cheap enough for every second.
    pub fn is_busy(&self) -> Option<bool> {
        match fs::metadata(self.busy_file.as_deref()?) {
            Ok(_) => Some(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
            Err(_) => None,
        }
    }
}

fn modified(path: &Path) -> Option<String> {
    let time = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Timestamp::try_from(time).ok().map(|time| time.to_string())
}

/// Only of a file: opening a pipe would wait for somebody to write.
fn read(path: &Path) -> Option<Vec<u8>> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST_READ).read_to_end(&mut bytes)).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn without_files_nothing_is_told() {
        assert_eq!(Program { activity_file: None, busy_file: None }.look(), News::default());
    }

    #[test]
    fn it_is_busy_while_the_file_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busy");
        let program = Program { activity_file: None, busy_file: Some(path.clone()) };
        assert_eq!(program.look(), News { busy: Some(false), ..News::default() });
        fs::write(&path, "").unwrap();
        assert_eq!(program.look(), News { busy: Some(true), ..News::default() });
        fs::write(&path, "building\n").unwrap();
        assert_eq!(program.look().message.as_deref(), Some("building"));
    }

    #[test]
    fn the_last_activity_is_the_time_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("active");
        let program = Program { activity_file: Some(path.clone()), busy_file: None };
        assert_eq!(program.look(), News::default(), "there is no such file yet");
        let file = File::create(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24)).unwrap();
        assert_eq!(program.look().activity.as_deref(), Some("1970-01-02T00:00:00Z"));
    }
}
