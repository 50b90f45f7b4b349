//! Decompress: gzip and zstd are recognised by their first bytes, whatever the file is called.

use std::io::{self, BufReader, Read};

/// Wraps `stored` so that it yields plain bytes. Concatenated gzip members and zstd frames are read to the end.
pub fn decompress(mut stored: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = [0; 4];
    let filled = read_full(&mut stored, &mut magic)?;
    let rejoined = io::Cursor::new(magic[..filled].to_vec()).chain(stored);
    match &magic[..filled] {
        [0x1f, 0x8b, ..] => {
            Ok(Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 18, rejoined))))
        }
        [0x28, 0xb5, 0x2f, 0xfd] => Ok(Box::new(zstd::stream::read::Decoder::new(rejoined)?)),
        _ => Ok(Box::new(rejoined)),
    }
}

/// Reads until the buffer is full or the input ends; returns the bytes read.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn plain(stored: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        decompress(Box::new(io::Cursor::new(stored)))?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compression_is_known_by_content() {
        assert_eq!(plain(b"plain\n".to_vec()).unwrap(), "plain\n");
        assert_eq!(plain(Vec::new()).unwrap(), "");
        assert_eq!(plain([gzip("a\n"), gzip("b\n")].concat()).unwrap(), "a\nb\n");
        assert_eq!(plain(zstd::encode_all(&b"z\n"[..], 1).unwrap()).unwrap(), "z\n");
    }

    #[test]
    fn truncated_gzip_is_an_error_and_not_an_end() {
        let mut stored = gzip(&"line\n".repeat(10_000));
        stored.truncate(stored.len() - 20);
        assert_eq!(plain(stored).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
