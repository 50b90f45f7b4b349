//! Recovery: from the files of a folder to the end of the log.
//!
//! - In: the folder, locked.
//! - Out: segments, and where the next group goes.
//! - Keeps: nothing.
//! - Invariants: only bytes after the last durable group are ever cut, and only at the end of the last segment. Damage that cannot be a
//!   torn write is an error that names file and position.
//!
//! A group is written only after the sync of the one before. So when a damaged group is followed by a whole group of a later commit, it was
//! durable once: that is damage and not a torn write.

use super::disk::{self, Disk, UNPUBLISHED};
use super::format::{self, Defect, GROUP_MAGIC, GroupHeader, RECORD_HEADER_LEN, SegmentHeader};
use super::identity::{self, unusable};
use super::reader::{damaged, unreadable};
use super::segment::{EXTENSION, Segment, Window};
use crate::log::LogError;
use corridor_model::Micros;
use memchr::memmem;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const WINDOW_BYTES: usize = 1 << 20;

/// The end of the log.
pub(super) struct Recovered {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) tail: Tail,
    /// Bytes of all segments but the last.
    pub(super) sealed_bytes: u64,
}

/// What the last segment ends with.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    pub(super) len: u64,
    pub(super) commit: u64,
    pub(super) time_max: Micros,
    pub(super) next_offsets: Vec<u64>,
}

/// Paths of the segments, in order.
pub(super) fn segment_paths(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let entries = fs::read_dir(folder).map_err(|error| unusable("list", folder, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unusable("list", folder, &error))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(EXTENSION) => paths.push(path),
            // A crash came before it was published, so nothing in it counts.
            Some(UNPUBLISHED) => fs::remove_file(&path).map_err(|error| unusable("remove", &path, &error))?,
            _ => {}
        }
    }
    paths.sort();
    Ok(paths)
}

/// The segments of the folder's log and its cluster id; makes both when there is no log yet.
pub(super) fn find_or_make(
    disk: &mut dyn Disk,
    folder: &Path,
    shard_count: u32,
) -> Result<(Vec<PathBuf>, [u8; 16]), LogError> {
    let paths = segment_paths(folder)?;
    match identity::read(folder, shard_count)? {
        Some(_) if paths.is_empty() => Err(LogError::Unusable(format!(
            "{} holds a log whose segments are missing: restore them from a copy, or use a new folder",
            folder.display()
        ))),
        Some(cluster) => Ok((paths, cluster)),
        None => {
            remove_unfinished(&paths, shard_count as usize)?;
            let cluster = identity::draw_cluster()?;
            begin(disk, folder, cluster, shard_count as usize)?;
            identity::write(folder, cluster, shard_count)?;
            Ok((segment_paths(folder)?, cluster))
        }
    }
}

/// A log whose making was interrupted has one segment without groups. Anything more was a log once.
fn remove_unfinished(paths: &[PathBuf], shard_count: usize) -> Result<(), LogError> {
    for path in paths {
        let len = fs::metadata(path).map_err(|error| unusable("look at", path, &error))?.len();
        if paths.len() > 1 || len > SegmentHeader::encoded_len(shard_count) as u64 {
            return Err(LogError::Unusable(format!(
                "{} holds records, but the description of its log is missing beside it: restore it from a copy, or use a new folder",
                path.display()
            )));
        }
        fs::remove_file(path).map_err(|error| unusable("remove", path, &error))?;
    }
    Ok(())
}

/// The first segment of a new log.
fn begin(disk: &mut dyn Disk, folder: &Path, cluster: [u8; 16], shard_count: usize) -> Result<(), LogError> {
    let header = SegmentHeader {
        sequence: 1,
        cluster,
        time_max: Micros(i64::MIN),
        commit: 0,
        previous_len: 0,
        next_offsets: vec![0; shard_count],
    };
    let path = Segment::path_of(folder, header.sequence);
    disk::replace_file(disk, &path, &header.encode()).map_err(|error| unusable("write", &path, &error))
}

/// Opens the segments, checks that they follow each other, and cuts a torn tail.
pub(super) fn recover(
    disk: &mut dyn Disk,
    paths: &[PathBuf],
    cluster: [u8; 16],
    shard_count: usize,
) -> Result<Recovered, LogError> {
    let mut segments: VecDeque<Arc<Segment>> = VecDeque::with_capacity(paths.len());
    let mut sealed_bytes = 0;
    for path in paths {
        let segment = open(path, cluster, shard_count)?;
        if let Some(previous) = segments.back() {
            sealed_bytes += seal(previous, &segment)?;
        }
        segments.push_back(Arc::new(segment));
    }
    let last = segments.back().expect("a log has at least one segment: it was listed, or made before");
    let tail = scan(last)?;
    let file_len = len_of(last)?;
    if tail.len < file_len {
        tracing::warn!(
            path = %last.path.display(), bytes = file_len - tail.len, position = tail.len,
            "cut what an interrupted write left behind; it was never acknowledged"
        );
        disk.truncate(&last.file, tail.len).map_err(|error| unusable("cut", &last.path, &error))?;
    }
    // What a killed process wrote may still be in memory only. It is shown to readers from now on, so it must not vanish.
    disk.sync(&last.file).map_err(|error| unusable("sync", &last.path, &error))?;
    Ok(Recovered { segments, tail, sealed_bytes })
}

fn open(path: &Path, cluster: [u8; 16], shard_count: usize) -> Result<Segment, LogError> {
    let file =
        File::options().read(true).write(true).open(path).map_err(|error| unusable("open", path, &error))?;
    let mut bytes = Vec::new();
    (&file)
        .take(SegmentHeader::encoded_len(shard_count) as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| unusable("read", path, &error))?;
    let refuse = |defect: Defect| {
        LogError::Unusable(format!("{} at byte 0: {defect}; {}", path.display(), super::reader::ADVICE))
    };
    let header = SegmentHeader::decode(&bytes).map_err(refuse)?;
    if header.cluster != cluster {
        return Err(refuse("the segment belongs to another log"));
    }
    if Segment::path_of(disk::folder_of(path), header.sequence) != path {
        return Err(refuse("the segment was renamed"));
    }
    Ok(Segment { path: path.to_owned(), file, header, sealed_len: OnceLock::new() })
}

/// Checks that a segment is whole and that `next` follows it; gives its length.
fn seal(segment: &Segment, next: &Segment) -> Result<u64, LogError> {
    if next.header.sequence != segment.header.sequence + 1 {
        return Err(LogError::Unusable(format!(
            "{} follows {}, so segments between them are missing; {}",
            next.path.display(),
            segment.path.display(),
            super::reader::ADVICE
        )));
    }
    let (len, want) = (len_of(segment)?, next.header.previous_len);
    if len != want {
        return Err(damaged(segment, len.min(want), "the file has another length than when it was finished"));
    }
    segment.sealed_len.set(len).expect("each segment has one successor in the list");
    Ok(len)
}

fn len_of(segment: &Segment) -> Result<u64, LogError> {
    let meta = segment.file.metadata().map_err(|error| unusable("look at", &segment.path, &error))?;
    Ok(meta.len())
}

/// Verifies all groups of the last segment, up to its end or to a torn write.
fn scan(segment: &Segment) -> Result<Tail, LogError> {
    let mut window = Window::new(WINDOW_BYTES);
    let mut tail = Tail {
        len: segment.first_group(),
        commit: segment.header.commit,
        time_max: segment.header.time_max,
        next_offsets: segment.header.next_offsets.clone(),
    };
    let file_len = len_of(segment)?;
    while tail.len < file_len {
        let at = tail.len;
        let checked =
            checked_group(segment, &mut window, at).map_err(|error| unreadable(segment, at, &error))?;
        match checked {
            Ok(group) => advance(segment, &mut tail, &group)?,
            Err(defect) => {
                refuse_if_it_was_durable(segment, &tail, defect)?;
                break;
            }
        }
    }
    Ok(tail)
}

/// A group with all its records, each verified.
fn checked_group(
    segment: &Segment,
    window: &mut Window,
    at: u64,
) -> std::io::Result<Result<GroupHeader, Defect>> {
    let group = match segment.group_at(window, at)? {
        Ok(group) => group,
        Err(defect) => return Ok(Err(defect)),
    };
    let mut at = group.body_position();
    for section in &group.sections {
        let until = at.saturating_add(section.byte_len);
        for index in 0..u64::from(section.record_count) {
            let header = window.bytes(&segment.file, at, RECORD_HEADER_LEN)?;
            let len = match format::payload_len(header) {
                Ok(len) => RECORD_HEADER_LEN + len,
                Err(defect) => return Ok(Err(defect)),
            };
            let record = window.bytes(&segment.file, at, len)?;
            if record.len() < len {
                return Ok(Err("the file ends inside a record"));
            }
            if let Err(defect) = format::checked_payload(record, section.first_offset + index) {
                return Ok(Err(defect));
            }
            at += len as u64;
        }
        if at != until {
            return Ok(Err("a section has another length than its records"));
        }
    }
    Ok(Ok(group))
}

/// Moves the end behind a good group, which must continue what is there.
fn advance(segment: &Segment, tail: &mut Tail, group: &GroupHeader) -> Result<(), LogError> {
    let refuse = |defect| Err(damaged(segment, group.position, defect));
    if group.commit != tail.commit + 1 || group.append_time < tail.time_max {
        return refuse("the group does not follow the one before it");
    }
    for section in &group.sections {
        let Some(next) = tail.next_offsets.get_mut(section.shard as usize) else {
            return refuse("the group names a shard that the log does not have");
        };
        if section.first_offset != *next {
            return refuse("the offsets of the group do not follow those before it");
        }
        *next += u64::from(section.record_count);
    }
    tail.commit = group.commit;
    tail.time_max = group.append_time;
    tail.len = group.end();
    Ok(())
}

/// The bad group has the commit number after the tail's. A whole group with a later number was written after its sync.
fn refuse_if_it_was_durable(segment: &Segment, tail: &Tail, defect: Defect) -> Result<(), LogError> {
    let unreadable = |error| unreadable(segment, tail.len, &error);
    let file_len = len_of(segment)?;
    let (mut outer, mut inner) = (Window::new(WINDOW_BYTES), Window::new(0));
    let mut at = tail.len + 1;
    while at < file_len {
        let bytes = outer.bytes(&segment.file, at, WINDOW_BYTES).map_err(unreadable)?;
        for hit in memmem::find_iter(bytes, &GROUP_MAGIC) {
            let group = segment.group_at(&mut inner, at + hit as u64).map_err(unreadable)?;
            if group.is_ok_and(|group| group.commit > tail.commit + 1) {
                return Err(damaged(segment, tail.len, defect));
            }
        }
        // Neighbouring pieces overlap, so that no mark is cut in two.
        at += (WINDOW_BYTES - GROUP_MAGIC.len()) as u64;
    }
    Ok(())
}
