//! Output: the files of both sides, with copies and late records, written as the traffic goes by.
//!
//! - In: one record after the other. Out: `kong/*.ndjson` and `synapse/…`.
//! - Keeps: one open file per side, or for an archive the open blobs of three hours; at most 64 records
//!   per side that wait to be copied far later.
//! - Invariants: memory does not depend on the number of records; a copy has the very bytes of its original.

use crate::GenerateError;
use crate::azure::Category;
use crate::line::{Line, Micros, civil};
use crate::rng::Rng;
use crate::world::World;
use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const WAITING_COPIES_MAX: usize = 64;
const HOUR: Micros = 3_600_000_000;

/// Where an Azure record goes: workspace, category and time at which Azure Monitor stores it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) workspace: usize,
    pub(crate) category: Category,
    pub(crate) received: Micros,
}

/// How many copies of a record were written at once; far copies come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Copies written with this call, of this or of earlier records.
    pub(crate) duplicate_count: u64,
}

/// An open file that knows its name.
#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl OpenFile {
    fn create(path: PathBuf) -> Result<Self, GenerateError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| GenerateError::Write { path: folder.into(), source })?;
        }
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file: BufWriter::with_capacity(1 << 17, file) }),
            Err(source) => Err(GenerateError::Write { path, source }),
        }
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<(), GenerateError> {
        for part in parts {
            self.file
                .write_all(part)
                .map_err(|source| GenerateError::Write { path: self.path.clone(), source })?;
        }
        Ok(())
    }

    fn close(mut self) -> Result<(), GenerateError> {
        self.file.flush().map_err(|source| GenerateError::Write { path: self.path, source })
    }
}

/// Records that wait to be written once more.
#[derive(Debug)]
struct Copies<K> {
    rng: Rng,
    waiting: VecDeque<(u64, K, Vec<u8>)>,
    count: u64,
}

impl<K> Copies<K> {
    fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), waiting: VecDeque::new(), count: 0 }
    }

    /// Whether a copy follows at once. May keep one for later.
    fn decide(&mut self, key: K, record: &[u8]) -> bool {
        self.count += 1;
        let dice = self.rng.below(10_000);
        // The second and the third record are copied whatever the dice say: small sets have both kinds.
        if self.waiting.len() < WAITING_COPIES_MAX && (dice < 15 || self.count == 3) {
            let due = self.count + self.rng.between(2_000, 60_000);
            self.waiting.push_back((due, key, record.to_vec()));
        }
        dice >= 9_965 || self.count == 2
    }

    fn due(&mut self) -> Option<(K, Vec<u8>)> {
        let is_due = self.waiting.front().is_some_and(|(due, ..)| *due <= self.count);
        if is_due { self.take() } else { None }
    }

    fn take(&mut self) -> Option<(K, Vec<u8>)> {
        self.waiting.pop_front().map(|(_, key, record)| (key, record))
    }
}

/// The Kong side.
#[derive(Debug)]
pub(crate) struct KongFiles {
    folder: PathBuf,
    current: OpenFile,
    copies: Copies<()>,
}

impl KongFiles {
    /// Opens the first file.
    pub(crate) fn create(out: &Path, seed: u64) -> Result<Self, GenerateError> {
        let folder = out.join("kong");
        let current = OpenFile::create(folder.join("kong-000.ndjson"))?;
        Ok(Self { folder, current, copies: Copies::new(seed ^ 0x6b6f_6e67) })
    }

    /// Goes on in another file.
    pub(crate) fn start_file(&mut self, index: u32) -> Result<(), GenerateError> {
        let next = OpenFile::create(self.folder.join(format!("kong-{index:03}.ndjson")))?;
        std::mem::replace(&mut self.current, next).close()
    }

    /// Writes an entry, and now and then a copy.
    pub(crate) fn write_entry(&mut self, entry: &[u8]) -> Result<Written, GenerateError> {
        let mut duplicate_count = 0;
        self.write_line(entry)?;
        if self.copies.decide((), entry) {
            self.write_line(entry)?;
            duplicate_count += 1;
        }
        if let Some(((), copy)) = self.copies.due() {
            self.write_line(&copy)?;
            duplicate_count += 1;
        }
        Ok(Written { duplicate_count })
    }

    /// Writes a line as it is, without copies.
    pub(crate) fn write_line(&mut self, line: &[u8]) -> Result<(), GenerateError> {
        self.current.write(&[line, b"\n"])
    }

    /// Writes the waiting copies.
    pub(crate) fn write_waiting(&mut self) -> Result<Written, GenerateError> {
        let mut duplicate_count = 0;
        while let Some(((), copy)) = self.copies.take() {
            self.write_line(&copy)?;
            duplicate_count += 1;
        }
        Ok(Written { duplicate_count })
    }

    /// Ends the last file with a torn line.
    pub(crate) fn finish(mut self, torn: &[u8]) -> Result<(), GenerateError> {
        self.current.write(&[torn])?;
        self.current.close()
    }
}

/// The Azure side.
#[derive(Debug)]
pub(crate) struct AzureFiles {
    folder: PathBuf,
    layout: Layout,
    copies: Copies<Place>,
}

#[derive(Debug)]
enum Layout {
    /// Envelopes of 1 to 8 records, one a line.
    Envelopes { current: OpenFile, envelope: Vec<u8>, record_count: u64, record_count_max: u64, rng: Rng },
    /// Blobs by workspace, category and receive hour.
    Archive { open: BTreeMap<(Micros, usize, Category), OpenFile>, resources: Vec<[String; 2]> },
}

impl AzureFiles {
    /// Opens the side in one of its two layouts.
    pub(crate) fn create(
        out: &Path,
        seed: u64,
        world: &World,
        is_archive: bool,
    ) -> Result<Self, GenerateError> {
        let folder = out.join("synapse");
        let layout = if is_archive {
            let resources = world.workspaces.iter();
            let resources = resources.map(|w| [w.resource_id.clone(), w.pool_resource_id.clone()]).collect();
            Layout::Archive { open: BTreeMap::new(), resources }
        } else {
            let current = OpenFile::create(folder.join("synapse-000.ndjson"))?;
            let rng = Rng::new(seed ^ 0x656e_7665);
            Layout::Envelopes { current, envelope: Vec::new(), record_count: 0, record_count_max: 3, rng }
        };
        Ok(Self { folder, layout, copies: Copies::new(seed ^ 0x617a_7572) })
    }

    /// Goes on in another file; an archive closes the blobs of hours before `now`.
    pub(crate) fn start_file(&mut self, index: u32) -> Result<(), GenerateError> {
        self.end_envelope()?;
        if let Layout::Envelopes { current, .. } = &mut self.layout {
            let next = OpenFile::create(self.folder.join(format!("synapse-{index:03}.ndjson")))?;
            std::mem::replace(current, next).close()?;
        }
        Ok(())
    }

    /// Closes the blobs that get no more records.
    pub(crate) fn start_hour(&mut self, now: Micros) -> Result<(), GenerateError> {
        if let Layout::Archive { open, .. } = &mut self.layout {
            let later = open.split_off(&(now / HOUR, 0, Category::Activity));
            for (_, blob) in std::mem::replace(open, later) {
                blob.close()?;
            }
        }
        Ok(())
    }

    /// Writes a record, and now and then a copy.
    pub(crate) fn write_entry(&mut self, place: Place, record: &[u8]) -> Result<Written, GenerateError> {
        let mut duplicate_count = 0;
        self.write_record(place, record)?;
        if self.copies.decide(place, record) {
            self.write_record(place, record)?;
            duplicate_count += 1;
        }
        if let Some((origin, copy)) = self.copies.due() {
            self.write_record(Place { received: place.received.max(origin.received), ..origin }, &copy)?;
            duplicate_count += 1;
        }
        Ok(Written { duplicate_count })
    }

    /// Writes a record without copies.
    pub(crate) fn write_record(&mut self, place: Place, record: &[u8]) -> Result<(), GenerateError> {
        match &mut self.layout {
            Layout::Envelopes { envelope, record_count, record_count_max, .. } => {
                envelope.extend_from_slice(if *record_count == 0 { b"{\"records\":[" } else { b"," });
                envelope.extend_from_slice(record);
                *record_count += 1;
                if *record_count >= *record_count_max {
                    self.end_envelope()?;
                }
            }
            Layout::Archive { open, resources } => {
                let hour = place.received / HOUR;
                let key = (hour, place.workspace, place.category);
                let blob = match open.entry(key) {
                    Entry::Occupied(blob) => blob.into_mut(),
                    Entry::Vacant(free) => {
                        let resource = &resources[place.workspace][usize::from(place.category.is_of_pool())];
                        let path = blob_path(&self.folder, resource, place.category, hour);
                        free.insert(OpenFile::create(path)?)
                    }
                };
                blob.write(&[record, b"\n"])?;
            }
        }
        Ok(())
    }

    /// Writes a line that is no record.
    pub(crate) fn write_broken_line(&mut self, place: Place, line: &[u8]) -> Result<(), GenerateError> {
        self.end_envelope()?;
        match &mut self.layout {
            Layout::Envelopes { current, .. } => current.write(&[line, b"\n"]),
            Layout::Archive { .. } => self.write_record(place, line),
        }
    }

    /// Writes the waiting copies.
    pub(crate) fn write_waiting(&mut self, now: Micros) -> Result<Written, GenerateError> {
        let mut duplicate_count = 0;
        while let Some((origin, copy)) = self.copies.take() {
            self.write_record(Place { received: now.max(origin.received), ..origin }, &copy)?;
            duplicate_count += 1;
        }
        Ok(Written { duplicate_count })
    }

    /// Ends with a torn record: in an envelope that was cut off, or as the last line of a blob.
    pub(crate) fn finish(mut self, torn: &[u8]) -> Result<(), GenerateError> {
        match &mut self.layout {
            Layout::Envelopes { current, envelope, record_count, .. } => {
                let start: &[u8] = if *record_count == 0 { b"{\"records\":[" } else { b"," };
                current.write(&[envelope, start, torn])?;
            }
            Layout::Archive { open, .. } => {
                if let Some(blob) = open.values_mut().next_back() {
                    blob.write(&[torn])?;
                }
            }
        }
        match self.layout {
            Layout::Envelopes { current, .. } => current.close(),
            Layout::Archive { open, .. } => open.into_values().try_for_each(OpenFile::close),
        }
    }

    fn end_envelope(&mut self) -> Result<(), GenerateError> {
        if let Layout::Envelopes { current, envelope, record_count, record_count_max, rng } = &mut self.layout
            && *record_count > 0
        {
            current.write(&[envelope, b"]}\n"])?;
            envelope.clear();
            *record_count = 0;
            *record_count_max = rng.between(1, 9);
        }
        Ok(())
    }
}

fn blob_path(folder: &Path, resource: &str, category: Category, hour: u64) -> PathBuf {
    let (year, month, day) = civil(hour / 24);
    let mut line = Line::default();
    line.raw("y=").padded(year, 4).raw("/m=").padded(month, 2).raw("/d=").padded(day, 2);
    line.raw("/h=").padded(hour % 24, 2).raw("/m=00/PT1H.json");
    let container = format!("insights-logs-{}", category.name().to_lowercase());
    // There is a `/` right after `resourceId=`.
    let resource = resource.trim_start_matches('/');
    folder.join(container).join("resourceId=").join(resource).join(crate::line::text_of(&line))
}
