//! Rows: the rows of a slice as bytes, one behind the other, in batches.
//!
//! - In: rows, one by one, into a [`RowBatch`]; or the bytes of batches that were spilled.
//! - Out: [`StoredRows`]: each row by its batch and number.
//! - Invariants: what is read back is checked against its own lengths: a damaged file gives no row instead of a wrong one.

/// A row of the input: which batch, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FinalRow {
    /// Index into the list of batches.
    pub batch: u32,
    /// Row of that batch.
    pub row: u32,
}

/// Bytes of a number in a head.
const WORD: usize = size_of::<u32>();

/// Rows that are being collected. A batch that was taken is used again: fresh pages cost more than the copying.
#[derive(Debug, Default)]
pub struct RowBatch {
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<u32>,
}

impl RowBatch {
    /// Adds a row that `write` appends.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        let end = u32::try_from(self.bytes.len()).expect("a batch is spilled long before it has 4 GiB");
        self.ends.push(end);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all rows.
    pub fn byte_size(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// What stands in front of the rows: their number, and where each ends.
    pub(crate) fn head(&self) -> Vec<u8> {
        let count = u32::try_from(self.ends.len()).expect("every row has at least a byte of the 4 GiB");
        let words = std::iter::once(&count).chain(&self.ends);
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The rows themselves.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes
    }
}

/// Where a batch stands in the bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    ends: usize,
    body: usize,
    row_count: usize,
}

/// The batches of a slice, by their numbers.
#[derive(Debug, Default)]
pub struct StoredRows {
    bytes: Vec<u8>,
    batches: Vec<Place>,
}

impl StoredRows {
    /// Batches without a file between: for a few rows in memory.
    pub fn of<'b>(batches: impl IntoIterator<Item = &'b RowBatch>) -> Self {
        let mut stored = Self::default();
        for batch in batches {
            stored.bytes.extend(batch.head());
            stored.bytes.extend_from_slice(batch.body());
        }
        stored.find_batches().expect("a batch agrees with its own head");
        stored
    }

    /// Forgets all rows and lets `fill` bring the bytes of new ones. None if they are not whole batches.
    pub(crate) fn refill<E>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Option<()>, E> {
        self.bytes.clear();
        self.batches.clear();
        fill(&mut self.bytes)?;
        Ok(self.find_batches())
    }

    fn find_batches(&mut self) -> Option<()> {
        let mut at = 0;
        while at < self.bytes.len() {
            let row_count = word(&self.bytes, at)?;
            let ends = at + WORD;
            let body = ends.checked_add(row_count.checked_mul(WORD)?)?;
            let length = if row_count == 0 { 0 } else { word(&self.bytes, body.checked_sub(WORD)?)? };
            at = body.checked_add(length).filter(|end| *end <= self.bytes.len())?;
            self.batches.push(Place { ends, body, row_count });
        }
        Some(())
    }

    /// Number of batches.
    pub fn batch_count(&self) -> usize {
        self.batches.len()
    }

    /// Number of rows of a batch, with whatever its writer put behind the events.
    pub fn row_count(&self, batch: u32) -> usize {
        self.batches.get(batch as usize).map_or(0, |place| place.row_count)
    }

    /// The bytes of a row. None if there is no such row.
    pub fn get(&self, at: FinalRow) -> Option<&[u8]> {
        let place = self.batches.get(at.batch as usize)?;
        let row = at.row as usize;
        if row >= place.row_count {
            return None;
        }
        let start = if row == 0 { 0 } else { word(&self.bytes, place.ends + (row - 1) * WORD)? };
        let end = word(&self.bytes, place.ends + row * WORD)?;
        self.bytes.get(place.body + start..place.body + end)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: &[&str]) -> RowBatch {
        let mut batch = RowBatch::default();
        rows.iter().for_each(|row| batch.push_with(|bytes| bytes.extend_from_slice(row.as_bytes())));
        batch
    }

    #[test]
    fn rows_come_back_by_batch_and_number() {
        let stored = StoredRows::of([&batch(&["a", "", "ccc"]), &batch(&[]), &batch(&["d"])]);
        let get = |batch, row| stored.get(FinalRow { batch, row });
        assert_eq!((stored.batch_count(), stored.row_count(0), stored.row_count(1)), (3, 3, 0));
        assert_eq!([get(0, 0), get(0, 1), get(0, 2)], [Some(&b"a"[..]), Some(b""), Some(b"ccc")]);
        assert_eq!([get(2, 0), get(2, 1), get(1, 0), get(3, 0)], [Some(&b"d"[..]), None, None, None]);
    }

    #[test]
    fn a_cut_file_is_noticed() {
        let whole = [batch(&["ab", "c"]).head(), b"abc".to_vec()].concat();
        let read = |bytes: &[u8]| {
            let mut stored = StoredRows::default();
            let filled = stored.refill(|into| {
                into.extend_from_slice(bytes);
                Ok::<(), std::convert::Infallible>(())
            });
            filled.expect("nothing fails here").is_some()
        };
        assert!(read(&whole) && read(b""));
        assert!((1..whole.len()).all(|length| !read(&whole[..length])));
        assert!(!read(&[0xff; 64]), "a count beyond the file");
    }
}
