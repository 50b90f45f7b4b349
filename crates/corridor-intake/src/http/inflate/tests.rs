use super::*;
use flate2::Compression;
use proptest::prelude::*;

const LIMITS: BodyLimits = BodyLimits { body_bytes_max: 1 << 20, inflated_bytes_max: 1 << 20 };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn inflate(declared: &str, sent: &[u8], piece_bytes: usize) -> (Vec<u8>, Option<Defect>) {
    let mut inflater = Inflater::new(declared, &LIMITS, sent.len());
    sent.chunks(piece_bytes).for_each(|piece| inflater.push(piece));
    inflater.finish()
}

#[test]
fn what_arrives_is_known_by_its_first_bytes() {
    let json = br#"[{"a":"\xff"}]"#;
    let members = [gzip(&json[..5]), gzip(&json[5..])].concat();
    let cases: &[(&str, &str, &[u8], &[u8])] = &[
        ("plain", "", json, json),
        ("identity", "identity", json, json),
        ("gzip", "gzip", &gzip(json), json),
        ("gzip in several members", "x-gzip", &members, json),
        ("gzip without a header", "", &gzip(json), json),
        ("plain with a wrong header", "gzip", json, json),
        ("json with an unknown header", "br", json, json),
        ("no json at all", "", b"\xff\xfe broken", b"\xff\xfe broken"),
        ("empty", "", b"", b""),
        ("empty member", "gzip", &gzip(b""), b""),
        ("shorter than a magic number", "", b"[]", b"[]"),
    ];
    for (name, declared, sent, want) in cases {
        for piece_bytes in [1, 3, 4096] {
            assert_eq!(inflate(declared, sent, piece_bytes), (want.to_vec(), None), "{name}, {piece_bytes}");
        }
    }
}

#[test]
fn a_broken_body_keeps_what_came_before_and_names_its_defect() {
    let lines = b"{\"a\":1}\n".repeat(20_000);
    let whole = gzip(&lines);
    let mut damaged = whole.clone();
    let end = damaged.len() - 8;
    damaged[end] ^= 0xff;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let cases: &[(&str, &str, &[u8], DefectKind, usize)] = &[
        ("cut", "gzip", &whole[..whole.len() - 9], DefectKind::CutOff, 1),
        ("wrong checksum", "gzip", &damaged, DefectKind::Corrupt, 1),
        ("junk behind", "gzip", &[whole.clone(), b"junkjunkjunk".to_vec()].concat(), DefectKind::Corrupt, 1),
        ("bomb", "gzip", &bomb, DefectKind::TooLarge, 1 << 20),
        ("twice", "gzip", &gzip(&whole), DefectKind::UnknownEncoding, 0),
        ("brotli", "br", b"\x0b\x02\x80hello", DefectKind::UnknownEncoding, 0),
        ("zstd", "", &zstd::encode_all(&lines[..], 1).unwrap(), DefectKind::UnknownEncoding, 0),
    ];
    for (name, declared, sent, kind, kept_min) in cases {
        let (kept, defect) = inflate(declared, sent, 4096);
        let defect = defect.expect(name);
        assert_eq!(defect.kind, *kind, "{name}: {}", defect.detail);
        assert!(kept.len() >= *kept_min && kept.len() <= 1 << 20, "{name}: {}", kept.len());
        assert!(*kept_min > 0 || kept.is_empty(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_pass_the_cap(
        head in prop::sample::select(vec![&b""[..], GZIP_MAGIC, &[0x1f, 0x8b, 8, 31], ZSTD_MAGIC]),
        tail in prop::collection::vec(any::<u8>(), 0..300),
        piece_bytes in 1usize..50,
    ) {
        let sent = [head, &tail].concat();
        let (kept, _) = inflate("gzip", &sent, piece_bytes);
        prop_assert!(kept.len() <= 1 << 20);
    }
}
