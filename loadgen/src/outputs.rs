//! Where results go besides stdout: files, looked at before the run, so that nobody waits for results that cannot be kept.
//!
//! Nothing of a file changes until there is something to write, and then all of it at once: a run that is cut short leaves
//! the results of the one before.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tempfile::NamedTempFile;

use crate::console;
use crate::error::Error;
use crate::flags::Output;
use crate::report::hlog::Hlog;
use crate::report::model::Report;
use crate::report::table::Table;
use crate::report::{html, to_json};

/// Rights of a new file, of which the umask takes its part.
const NEW_FILE_MODE: u32 = 0o666;

/// All that was asked for.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// Whether the JSON takes the place of the table.
    json_on_stdout: bool,
    json: Option<Destination>,
    html: Option<Destination>,
    hdr: Option<Destination>,
}

impl Outputs {
    /// Makes sure that all of it can be written.
    pub(crate) fn prepare(output: &Output) -> Result<Self, Error> {
        let prepare = |path: &Option<PathBuf>| path.as_deref().map(Destination::prepare).transpose();
        let json_on_stdout = output.json_on_stdout();
        Ok(Self {
            json_on_stdout,
            json: if json_on_stdout { None } else { prepare(&output.json)? },
            html: prepare(&output.html)?,
            hdr: prepare(&output.hdr)?,
        })
    }

    /// Whether histograms are wanted.
    pub(crate) fn has_hdr(&self) -> bool {
        self.hdr.is_some()
    }

    /// Gives out the report in all forms, whatever fails; returns what did.
    pub(crate) fn deliver(self, report: &Report, hlog: &Hlog) -> Vec<Error> {
        let table = Table(report).to_string();
        let on_stdout = if self.json_on_stdout { console::print(&to_json(report)) } else { console::print(&table) };
        if on_stdout.is_err() {
            console::rescue(&table);
        }
        let results = [
            on_stdout,
            self.json.map_or(Ok(()), |file| file.write(&to_json(report))),
            self.html.map_or(Ok(()), |file| file.write(&html::page(report))),
            self.hdr.map_or(Ok(()), |file| file.write(&hlog.to_text())),
        ];
        results.into_iter().filter_map(Result::err).collect()
    }
}

/// A file that is to be written.
#[derive(Debug)]
struct Destination {
    /// As it was named.
    path: PathBuf,
    way: Way,
}

/// How it is written.
#[derive(Debug)]
enum Way {
    /// A new file takes its place when it is complete, with the rights of the old one.
    Replaced { target: PathBuf, rights: Option<Permissions> },
    /// It is written where it is: a device, a pipe, what has other names, what belongs to others than a new file would,
    /// what lies where no file can be added.
    Kept(File),
}

impl Destination {
    /// Looks whether a file can be written, and leaves it as it is.
    fn prepare(path: &Path) -> Result<Self, Error> {
        let way = Way::to(path).map_err(|source| unwritable(path, source))?;
        Ok(Self { path: path.into(), way })
    }

    fn write(self, text: &str) -> Result<(), Error> {
        self.way.write(text).map_err(|source| unwritable(&self.path, source))
    }
}

fn unwritable(path: &Path, source: io::Error) -> Error {
    Error::Output { what: path.display().to_string(), source }
}

impl Way {
    fn to(path: &Path) -> io::Result<Self> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::to_new(path),
            Err(error) => return Err(error),
        };
        let file = OpenOptions::new().write(true).open(path)?;
        if found.is_file() && found.nlink() == 1 && found.uid() == geteuid().as_raw() {
            // The file itself where the path leads there by a link.
            let target = fs::canonicalize(path)?;
            let is_same = |new: NamedTempFile| new.as_file().metadata().is_ok_and(|new| new.gid() == found.gid());
            if beside(&target).is_ok_and(is_same) {
                return Ok(Self::Replaced { target, rights: Some(found.permissions()) });
            }
        }
        Ok(Self::Kept(file))
    }

    fn to_new(path: &Path) -> io::Result<Self> {
        if path.is_symlink() {
            // To where nothing is yet.
            return OpenOptions::new().write(true).create(true).truncate(false).open(path).map(Self::Kept);
        }
        if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::Error::new(ErrorKind::InvalidInput, "that is not the name of a file"));
        }
        beside(path)?;
        Ok(Self::Replaced { target: path.into(), rights: None })
    }

    fn write(self, text: &str) -> io::Result<()> {
        match self {
            Self::Replaced { target, rights } => {
                let mut file = beside(&target)?;
                file.write_all(text.as_bytes())?;
                if let Some(rights) = rights {
                    file.as_file().set_permissions(rights)?;
                }
                file.persist(&target)?;
                Ok(())
            }
            Self::Kept(mut file) => {
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                file.write_all(text.as_bytes())
            }
        }
    }
}

/// A file in the same directory, gone unless it is kept.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".minbus-load-").permissions(Permissions::from_mode(NEW_FILE_MODE)).tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use rustix::process::getgroups;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        Way::to(path)?.write(text)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("it is there");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_changes_before_there_is_something_to_write() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        fs::write(&old, "before, and longer than what comes after").expect("written");
        fs::set_permissions(&old, Permissions::from_mode(0o640)).expect("it is ours");
        let ways = [Way::to(&old).expect("writable"), Way::to(&new).expect("writable")];
        assert_eq!(names(directory.path()), ["old"], "nothing is left behind");
        assert_eq!(fs::read_to_string(&old).expect("there"), "before, and longer than what comes after");
        ways.into_iter().for_each(|way| way.write("after").expect("written"));
        assert_eq!(names(directory.path()), ["new", "old"]);
        for path in [&old, &new] {
            assert_eq!(fs::read_to_string(path).expect("there"), "after");
        }
        assert_eq!(fs::metadata(&old).expect("there").permissions().mode() & 0o777, 0o640, "its rights are kept");
    }

    #[test]
    fn what_cannot_be_replaced_is_written_in_place() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "before, and longer").expect("written");
        fs::hard_link(path("file"), path("other name")).expect("linked");
        write(&path("file"), "after").expect("written");
        assert_eq!(fs::read_to_string(path("other name")).expect("there"), "after");
        symlink("nothing yet", path("link")).expect("linked");
        write(&path("link"), "new").expect("written");
        assert_eq!(fs::read_to_string(path("nothing yet")).expect("there"), "new");
        symlink("nothing yet", path("second link")).expect("linked");
        write(&path("second link"), "again").expect("written");
        assert!(path("second link").is_symlink());
        assert_eq!(fs::read_to_string(path("nothing yet")).expect("there"), "again");
        write(Path::new("/dev/null"), "gone").expect("a device takes it");
    }

    #[test]
    fn a_file_of_another_group_stays_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "before, and longer").expect("written");
        let own = fs::metadata(&path).expect("there").gid();
        let groups = getgroups().expect("the system knows");
        let mut others = groups.iter().map(|group| group.as_raw()).chain([own + 1]).filter(|group| *group != own);
        // Who is in no other group, and is not root, cannot have such a file.
        let Some(other) = others.find(|group| chown(&path, None, Some(*group)).is_ok()) else { return };
        write(&path, "after").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "after");
        assert_eq!(fs::metadata(&path).expect("there").gid(), other);
    }

    /// None of this depends on who runs it: root may write where others may not.
    #[test]
    fn what_cannot_be_written_is_found_at_once() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "").expect("written");
        for wrong in [path(""), path("missing/report"), path("file/report"), path("new/"), PathBuf::new()] {
            assert!(Way::to(&wrong).is_err(), "{}", wrong.display());
        }
        let full = Way::to(Path::new("/dev/full")).expect("it can be opened");
        assert_eq!(full.write("text").expect_err("it is full").kind(), ErrorKind::StorageFull);
    }
}
