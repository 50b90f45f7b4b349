use super::*;
use crate::finalise::evidence_batches;
use crate::reader::read_bytes;
use crate::sample_events::{HOUR_START, batch, stored, unmatched};

const ROWS: u32 = 6_100;

fn batches() -> Vec<RecordBatch> {
    let (events, rows) = stored([batch(0..ROWS)]);
    let outcomes = vec![unmatched(); rows.len()];
    evidence_batches(&events, &rows, &outcomes, 500).collect::<Result<_, _>>().unwrap()
}

fn files(config: RollConfig) -> Vec<EncodedFile> {
    let mut roller = FileRoller::new(Table::Events, config);
    let mut files: Vec<_> = batches().iter().filter_map(|batch| roller.write(batch).unwrap()).collect();
    files.extend(roller.finish().unwrap());
    assert!(roller.finish().unwrap().is_none());
    files
}

#[test]
fn files_are_rolled_on_encoded_bytes_and_say_why() {
    let files = files(RollConfig { file_bytes_max: 300_000, row_group_rows_max: 1_000 });
    assert!(files.len() > 2, "{}", files.len());
    let (last, rolled) = files.split_last().unwrap();
    assert!(rolled.iter().all(|file| file.rolled_by == RollReason::Bytes));
    assert_eq!(last.rolled_by, RollReason::End);
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), u64::from(ROWS));
    for file in &files {
        let rows: usize = read_bytes(file.bytes.clone()).unwrap().iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows as u64, file.rows);
        assert!(file.bytes.len() < 500_000, "{}", file.bytes.len());
        assert_eq!(file.sha256, hex::encode(Sha256::digest(&file.bytes)));
    }
    assert_eq!(files[0].first_event_time, Some(Micros(HOUR_START)));
    assert!(files.windows(2).all(|pair| pair[0].last_event_time < pair[1].first_event_time));
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let digests = |files: Vec<EncodedFile>| files.into_iter().map(|file| file.sha256).collect::<Vec<_>>();
    let config = RollConfig { file_bytes_max: 400_000, row_group_rows_max: 700 };
    assert_eq!(digests(files(config)), digests(files(config)));
}

#[test]
fn without_rows_there_is_no_file() {
    let mut roller = FileRoller::new(Table::Events, RollConfig::default());
    assert!(roller.write(&batches()[0].slice(0, 0)).unwrap().is_none());
    assert!(roller.finish().unwrap().is_none());
}

#[test]
fn row_groups_keep_their_limit() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let files = files(RollConfig { file_bytes_max: usize::MAX, row_group_rows_max: 2_500 });
    let reader = SerializedFileReader::new(files[0].bytes.clone()).unwrap();
    let rows: Vec<_> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [2_500, 2_500, 1_100]);
}
