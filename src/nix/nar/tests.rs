use std::collections::BTreeMap;
use std::io::Read as _;

use proptest::prelude::*;

use super::*;

/// A tree in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tree {
    File(bool, Vec<u8>),
    Symlink(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

fn write(tree: &Tree, node: Node<'_>) -> Result<(), WriteError> {
    match tree {
        Tree::File(executable, content) => {
            node.file(*executable, content.len() as u64, &mut content.as_slice())
        }
        Tree::Symlink(target) => node.symlink(target),
        Tree::Directory(entries) => {
            let mut directory = node.directory()?;
            for (name, tree) in entries {
                write(tree, directory.entry(name)?)?;
            }
            directory.close()
        }
    }
}

fn encode(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(tree, writer::open(&mut bytes).unwrap()).unwrap();
    bytes
}

fn read<R: std::io::Read>(reader: &mut Reader<R>) -> Result<Tree, ReadError> {
    match reader.next_event()?.unwrap() {
        Event::File { executable, size } => {
            let mut content = Vec::new();
            reader
                .content()
                .read_to_end(&mut content)
                .map_err(|source| ReadError::Read { offset: 0, source })?;
            assert_eq!(content.len() as u64, size);
            Ok(Tree::File(executable, content))
        }
        Event::Symlink { target } => Ok(Tree::Symlink(target)),
        Event::Directory => {
            let mut entries = BTreeMap::new();
            loop {
                match reader.next_event()?.unwrap() {
                    Event::Entry { name } => {
                        assert_eq!(entries.insert(name, read(reader)?), None);
                    }
                    Event::DirectoryEnd => return Ok(Tree::Directory(entries)),
                    other => panic!("{other:?} between entries"),
                }
            }
        }
        other => panic!("{other:?} in place of a node"),
    }
}

fn decode(bytes: &[u8]) -> Result<Tree, ReadError> {
    let mut reader = Reader::new(bytes);
    let tree = read(&mut reader)?;
    reader.finish()?;
    Ok(tree)
}

/// A string as NAR has it.
fn token(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u64).to_le_bytes().to_vec();
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

fn tokens(words: &[&[u8]]) -> Vec<u8> {
    words.iter().flat_map(|word| token(word)).collect()
}

fn directory_of(names: &[&[u8]]) -> Vec<u8> {
    let mut out = tokens(&[b"nix-archive-1", b"(", b"type", b"directory"]);
    for name in names {
        out.extend(tokens(&[b"entry", b"(", b"name", name, b"node"]));
        out.extend(tokens(&[
            b"(", b"type", b"symlink", b"target", b"x", b")", b")",
        ]));
    }
    out.extend(token(b")"));
    out
}

#[test]
fn hello_world_as_nix_writes_it() {
    let bytes = encode(&Tree::File(true, b"Hello World!".to_vec()));
    let expected = tokens(&[
        b"nix-archive-1",
        b"(",
        b"type",
        b"regular",
        b"executable",
        b"",
        b"contents",
        b"Hello World!",
        b")",
    ]);
    assert_eq!(bytes, expected);
    // `nix-hash --type sha256 --base32` of the empty file, not executable.
    let digest = hash_nar(|node| node.file(false, 0, &mut std::io::empty())).unwrap();
    assert_eq!(
        digest.nar_hash().to_nix_nixbase32_string(),
        "sha256:0ip26j2h11n1kgkz36rl4akv694yz65hr72q4kv4b3lxcbi65b3p"
    );
    assert_eq!(digest.size, 112);
}

#[test]
fn only_the_owners_bit_counts() {
    for (mode, executable) in [
        (0o654, false),
        (0o645, false),
        (0o611, false),
        (0o100, true),
        (0o100_755, true),
    ] {
        assert_eq!(is_executable(mode), executable, "{mode:o}");
    }
}

#[test]
fn content_of_another_size() {
    let write = |size, content: &[u8]| {
        let mut out = Vec::new();
        writer::open(&mut out)
            .unwrap()
            .file(false, size, &mut &content[..])
    };
    assert!(matches!(
        write(4, b"abc"),
        Err(WriteError::ContentTooShort {
            expected: 4,
            actual: 3
        })
    ));
    assert!(matches!(
        write(2, b"abc"),
        Err(WriteError::ContentTooLong { expected: 2 })
    ));
    assert!(matches!(
        write(0, b"a"),
        Err(WriteError::ContentTooLong { expected: 0 })
    ));
    assert!(matches!(
        write(u64::MAX, b""),
        Err(WriteError::ContentTooShort { .. })
    ));
    assert!(write(3, b"abc").is_ok());
}

#[test]
fn writer_refuses() {
    let mut out = Vec::new();
    let mut directory = writer::open(&mut out).unwrap().directory().unwrap();
    directory.entry(b"b").unwrap().symlink(b"x").unwrap();
    for name in [&b"a"[..], b"b"] {
        assert!(matches!(
            directory.entry(name),
            Err(WriteError::Unordered { .. })
        ));
    }
    for name in [&b""[..], b".", b"..", b"c/d", b"c\0"] {
        assert!(matches!(
            directory.entry(name),
            Err(WriteError::InvalidName { .. })
        ));
    }
    assert!(matches!(
        directory.entry(b"c").unwrap().symlink(b""),
        Err(WriteError::InvalidTarget {
            reason: NameProblem::Empty
        })
    ));
    assert!(matches!(directory.entry(b"d"), Err(WriteError::Unfinished { name }) if name == "c"));
    assert!(matches!(directory.close(), Err(WriteError::Unfinished { name }) if name == "c"));
}

#[test]
fn reader_refuses_names() {
    assert!(decode(&directory_of(&[b"-", b"a", b"a.b", b"aa", b"b\n", b"\xff"])).is_ok());
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b", &[b'a'; 256]] {
        let result = decode(&directory_of(&[name]));
        assert!(
            matches!(result, Err(ReadError::InvalidName { .. })),
            "{name:?}: {result:?}"
        );
    }
    assert!(decode(&directory_of(&[&[b'a'; 255]])).is_ok());
    for names in [[&b"b"[..], b"a"], [b"a", b"a"], [b"aa", b"a"]] {
        let result = decode(&directory_of(&names));
        assert!(
            matches!(result, Err(ReadError::Unordered { .. })),
            "{names:?}"
        );
    }
}

#[test]
fn reader_refuses_targets() {
    let link = |t: &[u8]| {
        tokens(&[
            b"nix-archive-1",
            b"(",
            b"type",
            b"symlink",
            b"target",
            t,
            b")",
        ])
    };
    assert!(decode(&link(b"../../etc/passwd")).is_ok());
    for target in [&b""[..], b"a\0", &[b'a'; 4096]] {
        assert!(matches!(
            decode(&link(target)),
            Err(ReadError::InvalidTarget { .. })
        ));
    }
}

#[test]
fn reader_refuses_lengths_without_allocating() {
    let start = tokens(&[b"nix-archive-1", b"(", b"type"]);
    let name = tokens(&[b"directory", b"entry", b"(", b"name"]);
    let target = tokens(&[b"symlink", b"target"]);
    for (rest, length) in [
        (&[][..], u64::MAX),
        (&name, u64::MAX - 7),
        (&target, 1 << 62),
    ] {
        let bytes = [&start, rest, &length.to_le_bytes()].concat();
        assert!(decode(&bytes).is_err());
    }
    let file = [
        start,
        tokens(&[b"regular", b"contents"]),
        u64::MAX.to_le_bytes().to_vec(),
    ]
    .concat();
    let mut reader = Reader::new(file.as_slice());
    assert_eq!(
        reader.next_event().unwrap(),
        Some(Event::File {
            executable: false,
            size: u64::MAX
        })
    );
    assert!(matches!(reader.next_event(), Err(ReadError::Read { .. })));
    assert!(matches!(reader.next_event(), Err(ReadError::Stopped)));
}

#[test]
fn reader_refuses_padding_tails_and_words() {
    let good = encode(&Tree::File(false, b"abc".to_vec()));
    assert!(decode(&good).is_ok());
    let at = good.windows(3).position(|w| w == b"abc").unwrap();
    let mut padded = good.clone();
    padded[at + 3] = 1;
    assert!(matches!(decode(&padded), Err(ReadError::Padding { .. })));
    let mut tail = good.clone();
    tail.push(0);
    let length = good.len() as u64;
    assert!(matches!(decode(&tail), Err(ReadError::TrailingData { offset }) if offset == length));
    for cut in 0..good.len() {
        assert!(decode(&good[..cut]).is_err(), "cut at {cut}");
    }
    let words: &[&[&[u8]]] = &[
        &[b"nix-archive-2"],
        &[b"nix-archive-1", b"(", b"type", b"fifo"],
        &[b"nix-archive-1", b"(", b"type", b"regular", b")"],
        &[
            b"nix-archive-1",
            b"(",
            b"type",
            b"regular",
            b"executable",
            b"x",
        ],
        &[b"nix-archive-1", b"(", b"type", b"directory", b"file"],
    ];
    for words in words {
        assert!(
            matches!(decode(&tokens(words)), Err(ReadError::Unexpected { .. })),
            "{words:?}"
        );
    }
}

#[test]
fn nesting_is_limited_alike() {
    let mut bytes = token(b"nix-archive-1");
    for _ in 0..=MAX_DEPTH {
        bytes.extend(tokens(&[
            b"(",
            b"type",
            b"directory",
            b"entry",
            b"(",
            b"name",
            b"d",
            b"node",
        ]));
    }
    let mut reader = Reader::new(bytes.as_slice());
    let error = loop {
        if let Err(error) = reader.next_event() {
            break error;
        }
    };
    assert!(matches!(error, ReadError::TooDeep), "{error}");

    fn nest(node: Node<'_>, left: usize) -> Result<(), WriteError> {
        let mut directory = node.directory()?;
        if left > 1 {
            nest(directory.entry(b"d")?, left - 1)?;
        }
        directory.close()
    }
    let mut out = Vec::new();
    nest(writer::open(&mut out).unwrap(), MAX_DEPTH).unwrap();
    Reader::new(out.as_slice()).finish().unwrap();
    let mut out = Vec::new();
    let result = nest(writer::open(&mut out).unwrap(), MAX_DEPTH + 1);
    assert!(matches!(result, Err(WriteError::TooDeep)));
}

#[test]
fn unread_content_is_skipped() {
    let tree = Tree::Directory(BTreeMap::from([
        (b"a".to_vec(), Tree::File(false, vec![7; 100_000])),
        (b"b".to_vec(), Tree::Symlink(b"a".to_vec())),
    ]));
    let bytes = encode(&tree);
    let mut reader = Reader::new(bytes.as_slice());
    let mut events = 0;
    while let Some(event) = reader.next_event().unwrap() {
        if matches!(event, Event::File { .. }) {
            let mut part = [0; 10];
            reader.content().read_exact(&mut part).unwrap();
            assert_eq!(part, [7; 10]);
        }
        events += 1;
    }
    assert_eq!(events, 6);
    assert_eq!(reader.offset(), bytes.len() as u64);
    let mut sink = Vec::new();
    assert_eq!(reader.content().read_to_end(&mut sink).unwrap(), 0);
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        any::<u8>().prop_filter("allowed", |b| !matches!(b, 0 | b'/')),
        1..12,
    )
    .prop_filter("dots", |name| name != b"." && name != b"..")
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(executable, content)| Tree::File(executable, content)),
        prop::collection::vec(1..=255_u8, 1..20).prop_map(Tree::Symlink),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop::collection::btree_map(name(), inner, 0..5).prop_map(Tree::Directory)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1200))]

    #[test]
    fn round_trip(tree in tree()) {
        let bytes = encode(&tree);
        let digest = hash_nar(|node| write(&tree, node)).unwrap();
        prop_assert_eq!(digest.size, bytes.len() as u64);
        prop_assert_eq!(digest.sha256, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(&bytes)));
        prop_assert_eq!(decode(&bytes).unwrap(), tree);
    }

    #[test]
    fn damaged(tree in tree(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = encode(&tree);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // What is accepted is written the same way again.
        if let Ok(tree) = decode(&bytes) {
            prop_assert_eq!(encode(&tree), bytes);
        }
    }

    #[test]
    fn hostile(words in prop::collection::vec(0..14_usize, 0..30), tail in prop::collection::vec(any::<u8>(), 0..40)) {
        const WORDS: [&[u8]; 14] = [
            b"(", b")", b"type", b"regular", b"executable", b"", b"contents", b"symlink",
            b"target", b"directory", b"entry", b"name", b"node", b"nix-archive-1",
        ];
        let mut bytes = token(MAGIC);
        bytes.extend(words.iter().flat_map(|&word| token(WORDS[word])));
        bytes.extend(tail);
        if let Ok(tree) = decode(&bytes) {
            prop_assert_eq!(encode(&tree), bytes);
        }
    }
}
