//! Sources of an SRS, against a real registry package and a server that misbehaves.

use super::*;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A cache folder with nothing in it but the registry package, which all tests share.
async fn cache() -> tempfile::TempDir {
    let shared = toolchain::cache_dir().expect("a cache folder");
    npm_package().install(&shared).await.expect("the package");
    let cache = tempfile::tempdir().expect("a folder");
    link(&shared.join("npm"), &cache.path().join("npm"));
    cache
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) {
    std::os::unix::fs::symlink(from, to).expect("a link");
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) {}

/// The npm ceremony's file for k, byte for byte.
async fn published(k: u32) -> Vec<u8> {
    let cache = cache().await;
    let path = cache.path().join("published.srs");
    obtain(&Source::default(), k, cache.path(), &path).await.expect("from the registry");
    files::read(&path).expect("read")
}

fn hash(k: u32) -> B256 {
    ceremony::by_name(ceremony::NPM).expect("in the table").sha256[&k]
}

/// What the server does with one request.
#[derive(Clone, Debug)]
enum Reply {
    /// The file, from where it was asked for.
    Serve,
    /// The whole file, whatever was asked for.
    Whole,
    /// At most so many bytes, then the connection closes.
    Cut(usize),
    /// At most so many bytes, then nothing.
    Stall(usize),
    /// A part that begins elsewhere.
    WrongPart,
    /// This status and nothing else.
    Status(u16),
}

struct Server {
    url: String,
    /// The `Range` header of each request, empty without one.
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves `file` at `/srs/kzg<k>.srs`; after the replies given, with [`Reply::Serve`].
    async fn start(file: Vec<u8>, replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/srs", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let mut replies: VecDeque<_> = replies.into_iter().collect();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let reply = replies.pop_front().unwrap_or(Reply::Serve);
                tokio::spawn(answer(stream, reply, file.clone(), Arc::clone(&seen)));
            }
        });
        Self { url, requests, task }
    }

    fn source(&self) -> Source {
        Source::Ceremony { urls: vec![self.url.clone()] }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

async fn answer(
    mut stream: TcpStream,
    reply: Reply,
    file: Vec<u8>,
    seen: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
    assert!(request.starts_with("get /srs/kzg"), "{request}");
    let range = request
        .lines()
        .find_map(|line| line.strip_prefix("range: "))
        .unwrap_or_default()
        .to_owned();
    seen.lock().expect("no panic").push(range.clone());
    let asked: Option<usize> = range
        .strip_prefix("bytes=")
        .and_then(|range| range.strip_suffix('-'))
        .and_then(|start| start.parse().ok());
    if let Reply::Status(status) = reply {
        let head =
            format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return stream.write_all(head.as_bytes()).await;
    }
    let start = match reply {
        Reply::Whole => None,
        Reply::WrongPart => asked.map(|start| start - 1),
        _ => asked,
    };
    let total = file.len();
    let body = &file[start.unwrap_or(0)..];
    let head = match start {
        Some(start) => {
            format!("HTTP/1.1 206 Part\r\ncontent-range: bytes {start}-{}/{total}\r\n", total - 1)
        }
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    let head = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    match reply {
        Reply::Cut(bytes) => stream.write_all(&body[..bytes.min(body.len())]).await,
        Reply::Stall(bytes) => {
            stream.write_all(&body[..bytes.min(body.len())]).await?;
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(())
        }
        _ => stream.write_all(body).await,
    }
}

fn quick() -> HttpOptions {
    HttpOptions {
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_millis(400),
        attempts: 3,
        backoff: Duration::from_millis(5),
    }
}

/// Obtains k = 5 from a server; also returns what is left in the cache.
async fn from(server: &Server, cache: &Path) -> Result<(Obtained, Vec<u8>)> {
    let destination = cache.join("out/kzg.srs");
    let obtained = obtain_with(&server.source(), 5, cache, &destination, &quick()).await;
    if obtained.is_err() {
        assert!(!destination.exists());
    }
    let obtained = obtained?;
    let bytes = files::read(&destination)?;
    Ok((obtained, bytes))
}

fn parts(cache: &Path) -> usize {
    let entries = fs::read_dir(cache.join("srs")).expect("the folder");
    entries
        .filter(|entry| {
            entry.as_ref().is_ok_and(|entry| entry.path().extension() == Some("part".as_ref()))
        })
        .count()
}

#[tokio::test]
async fn a_ceremony_comes_from_the_registry_and_smaller_ones_are_made_of_it() {
    let cache = cache().await;
    let destination = cache.path().join("project/kzg.srs");
    let get = |k| {
        let destination = destination.clone();
        let cache = cache.path().to_owned();
        async move { obtain(&Source::default(), k, &cache, &destination).await.expect("obtained") }
    };
    for k in [1, 4, 6, 8] {
        let obtained = get(k).await;
        assert_eq!(obtained.sha256, hash(k), "k={k}");
        assert_eq!(files::sha256_file(&destination).expect("there"), hash(k));
        assert_eq!(obtained.provenance, Provenance::Ceremony(ceremony::NPM.to_owned()));
        let file = SrsFile::open(&destination).expect("opens");
        assert_eq!((file.k(), obtained.k), (k, k));
        file.verify().expect("holds");
    }
    // From the cache now, which repairs itself.
    let cached = cache.path().join(format!("srs/{}-k8.srs", ceremony::NPM));
    assert_eq!(files::sha256_file(&cached).expect("cached"), hash(8));
    fs::write(&cached, b"damaged").expect("written");
    assert_eq!(get(8).await.sha256, hash(8));
    #[cfg(unix)]
    {
        fs::remove_file(cache.path().join("npm")).expect("removed");
        assert_eq!(get(8).await.sha256, hash(8));
    }
}

#[tokio::test]
async fn a_broken_download_continues_where_it_stopped() {
    let file = published(5).await;
    let cache = tempfile::tempdir().expect("a folder");
    let server = Server::start(file.clone(), [Reply::Cut(1000), Reply::Cut(500)]).await;
    let (obtained, bytes) = from(&server, cache.path()).await.expect("obtained");
    assert_eq!(bytes, file);
    assert_eq!(obtained.sha256, hash(5));
    assert_eq!(server.requests(), ["", "bytes=1000-", "bytes=1500-"]);
    assert_eq!(parts(cache.path()), 0);
    // The second time it is in the cache.
    from(&server, cache.path()).await.expect("cached");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn the_next_call_continues_what_an_earlier_one_left() {
    let file = published(5).await;
    let cache = tempfile::tempdir().expect("a folder");
    let broken = [Reply::Cut(2000), Reply::Status(503), Reply::Status(503), Reply::Status(503)];
    let server = Server::start(file.clone(), broken).await;
    let error = from(&server, cache.path()).await.expect_err("gave up").to_string();
    assert!(error.contains("503") && error.contains("gave up after 3 attempts"), "{error}");
    assert_eq!(parts(cache.path()), 1);
    let (_, bytes) = from(&server, cache.path()).await.expect("obtained");
    assert_eq!(bytes, file);
    assert_eq!(server.requests().last().map(String::as_str), Some("bytes=2000-"));
}

#[tokio::test]
async fn servers_that_cannot_continue_start_again() {
    let file = published(5).await;
    for second in [Reply::Whole, Reply::WrongPart, Reply::Status(416)] {
        let cache = tempfile::tempdir().expect("a folder");
        let server = Server::start(file.clone(), [Reply::Cut(1000), second.clone()]).await;
        let (_, bytes) = from(&server, cache.path()).await.expect("obtained");
        assert_eq!(bytes, file, "{second:?}");
        assert_eq!(server.requests()[1], "bytes=1000-");
    }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let file = published(5).await;
    let cache = tempfile::tempdir().expect("a folder");
    let server = Server::start(file.clone(), [Reply::Stall(0), Reply::Stall(700)]).await;
    let (_, bytes) = from(&server, cache.path()).await.expect("obtained");
    assert_eq!(bytes, file);
    assert_eq!(server.requests(), ["", "", "bytes=700-"]);
    let cache = tempfile::tempdir().expect("a folder");
    let server = Server::start(file, vec![Reply::Stall(0); 9]).await;
    let error = from(&server, cache.path()).await.expect_err("gave up").to_string();
    assert!(error.contains("timed out"), "{error}");
}

#[tokio::test]
async fn bytes_of_no_ceremony_are_refused_and_not_kept() {
    let mut file = published(5).await;
    file[1000] ^= 1;
    let cache = tempfile::tempdir().expect("a folder");
    let server = Server::start(file.clone(), []).await;
    let error = from(&server, cache.path()).await.expect_err("another file");
    assert!(matches!(&error, Error::Hash { k: 5, found, .. } if *found == files::sha256(&file)));
    assert_eq!(parts(cache.path()), 0);
    // A ceremony's file, but of another size.
    let server = Server::start(published(4).await, []).await;
    let error = from(&server, cache.path()).await.expect_err("too short").to_string();
    assert!(error.contains("serves 2308 bytes, but the file has 4356"), "{error}");
}

#[tokio::test]
async fn the_next_mirror_is_asked_where_one_has_nothing_or_something_else() {
    let file = published(5).await;
    let mut other = file.clone();
    other[1000] ^= 1;
    let cache = tempfile::tempdir().expect("a folder");
    let absent = Server::start(Vec::new(), [Reply::Status(403)]).await;
    let wrong = Server::start(other, []).await;
    let right = Server::start(file.clone(), []).await;
    let urls = |servers: [&Server; 3]| servers.map(|server| server.url.clone()).to_vec();
    let source = Source::Ceremony { urls: urls([&absent, &wrong, &right]) };
    let destination = cache.path().join("kzg.srs");
    let http = quick();
    let get = || obtain_with(&source, 5, cache.path(), &destination, &http);
    assert_eq!(get().await.expect("from the third").sha256, hash(5));
    assert_eq!(files::read(&destination).expect("read"), file);
    // The next time it is in the cache, and nobody is asked.
    get().await.expect("cached");
    let asked = [&absent, &wrong, &right].map(|server| server.requests().len());
    assert_eq!(asked, [1, 1, 1]);
    // Where none has it, the first one's reason is told.
    let cache = tempfile::tempdir().expect("a folder");
    let absent = Server::start(Vec::new(), vec![Reply::Status(403); 2]).await;
    let source = Source::Ceremony { urls: urls([&absent, &wrong, &absent]) };
    let error = obtain_with(&source, 5, cache.path(), &destination, &quick()).await;
    let error = error.expect_err("nowhere");
    assert!(
        matches!(&error, Error::Unavailable { url, .. } if url.contains(&absent.url)),
        "{error}"
    );
}

#[tokio::test]
async fn an_error_names_every_remedy() {
    let cache = tempfile::tempdir().expect("a folder");
    let server = Server::start(Vec::new(), [Reply::Status(404)]).await;
    let destination = cache.path().join("kzg.srs");
    let get = |source: Source| {
        let (cache, destination) = (cache.path().to_owned(), destination.clone());
        async move {
            let result = obtain_with(&source, 15, &cache, &destination, &quick()).await;
            assert!(!destination.exists());
            result.expect_err("not to be had").to_string()
        }
    };
    let error = get(server.source()).await;
    let remedies = [
        "404",
        "kzg15.srs",
        "--srs ceremony:<url>",
        "--srs <path>",
        "unsafe-dev",
        "logrows",
        "tune",
    ];
    for remedy in remedies {
        assert!(error.contains(remedy), "{error}");
    }
    assert_eq!(server.requests().len(), 1, "a 404 is final");
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let urls = vec![format!("http://{address}/a{{k}}.srs")];
    let error = get(Source::Ceremony { urls }).await;
    assert!(error.contains("a15.srs") && error.contains("gave up after 3"), "{error}");
    for url in ["ftp://host/{k}", "nowhere", ""] {
        let error = get(Source::Ceremony { urls: vec![url.to_owned()] }).await;
        assert!(error.contains("is no address for SRS files"), "{error}");
    }
    let source = Source::default();
    let error = obtain(&source, 27, cache.path(), &destination).await.expect_err("no such file");
    assert!(matches!(error, Error::NoCeremony { k: 27 }));
}

#[tokio::test]
async fn a_users_file_is_used_cut_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, destination) = (folder.path().join("own.srs"), folder.path().join("p/kzg.srs"));
    let cache = folder.path().join("cache");
    dev::generate_with(sums::random_scalar(), 4, &own).expect("made");
    let before = (files::read(&own).expect("read"), fs::metadata(&own).expect("there").modified());
    let source = Source::Path(own.clone());
    let get = |k| {
        let (source, cache, destination) = (source.clone(), cache.clone(), destination.clone());
        async move { obtain(&source, k, &cache, &destination).await }
    };
    let same = get(4).await.expect("fits");
    assert_eq!(same.provenance, Provenance::Unrecognized);
    assert_eq!(files::read(&destination).expect("copied"), before.0);
    for _ in 0..2 {
        let cut = get(2).await.expect("larger");
        let file = SrsFile::open(&cut.path).expect("opens");
        file.verify().expect("holds");
        assert_eq!((file.k(), cut.k), (2, 2));
        assert_eq!(file.tau_g2(), SrsFile::open(&own).expect("opens").tau_g2());
    }
    let error = get(5).await.expect_err("smaller").to_string();
    assert!(error.contains("has k=4, but the circuit needs k=5"), "{error}");
    let after = (files::read(&own).expect("read"), fs::metadata(&own).expect("there").modified());
    assert_eq!(after.0, before.0);
    assert_eq!(after.1.ok(), before.1.ok());
    // In its place already.
    let at_home = obtain(&source, 4, &cache, &own).await.expect("in place");
    assert_eq!(at_home.sha256, files::sha256(&before.0));
    // Damaged: an error, and still not touched.
    let mut damaged = before.0.clone();
    damaged.copy_within(4 + 64..4 + 128, 4 + 128);
    fs::write(&own, &damaged).expect("written");
    let error = get(4).await.expect_err("damaged").to_string();
    assert!(error.contains("own.srs is not a usable SRS"), "{error}");
    assert_eq!(files::read(&own).expect("there"), damaged);
    fs::remove_file(&own).expect("removed");
    let error = get(4).await.expect_err("missing").to_string();
    assert!(error.starts_with("cannot read ") && error.contains("own.srs"), "{error}");
}

#[tokio::test]
async fn an_unsafe_srs_says_so_and_stays_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (folder.path().join("a/kzg.srs"), folder.path().join("b/kzg.srs"));
    let first = obtain(&Source::UnsafeDev, 4, folder.path(), &one).await.expect("made");
    let second = obtain(&Source::UnsafeDev, 4, folder.path(), &two).await.expect("cached");
    assert!(first.provenance.is_unsafe() && second.provenance.is_unsafe());
    assert_eq!(first.sha256, second.sha256);
    SrsFile::open(&one).expect("opens").verify().expect("holds");
    let other = tempfile::tempdir().expect("a folder");
    // Another machine's is the same, and one of an older zkvouch with a τ of its own gives way.
    let old = other.path().join("srs/unsafe-dev-k4.srs");
    fs::create_dir_all(other.path().join("srs")).expect("a folder");
    dev::generate_with(sums::random_scalar(), 4, &old).expect("made");
    let third = obtain(&Source::UnsafeDev, 4, other.path(), &two).await.expect("made");
    assert_eq!(first.sha256, third.sha256);
    // One byte in the middle of what is cached, which neither end of the file shows.
    let cached = folder.path().join("srs/unsafe-dev-k4.srs");
    let mut bytes = files::read(&cached).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    files::write_atomic(&cached, &bytes).expect("written");
    let again = obtain(&Source::UnsafeDev, 4, folder.path(), &two).await.expect("made again");
    assert_eq!(again.sha256, first.sha256);
    assert_eq!(files::sha256_file(&two).expect("read"), first.sha256);
    // As anybody's own file it is known for what it is.
    let own = folder.path().join("own.srs");
    fs::copy(&one, &own).expect("copied");
    let fourth = obtain(&Source::Path(own), 3, other.path(), &two).await.expect("cut");
    assert!(fourth.provenance.is_unsafe());
    let error = obtain(&Source::UnsafeDev, 21, folder.path(), &one).await.expect_err("too large");
    assert!(matches!(error, Error::DevTooLarge { k: 21 }));
    let json = serde_json::to_string(&first.provenance).expect("JSON");
    assert_eq!(json, r#"{"kind":"unsafe-dev"}"#);
    assert_eq!(serde_json::from_str::<Provenance>(&json).expect("JSON"), first.provenance);
}

#[test]
fn what_changed_after_it_was_checked_is_not_copied() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from.srs"), folder.path().join("to/kzg.srs"));
    dev::generate(3, &from).expect("made");
    let checked = files::sha256_file(&from).expect("read");
    dev::generate_with(sums::random_scalar(), 3, &from).expect("made");
    for destination in [&to, &from] {
        let error = place(&from, checked, 3, destination).expect_err("another file").to_string();
        assert!(error.contains("from.srs") && error.contains("changed after"), "{error}");
    }
    assert!(!to.exists());
    let hash = files::sha256_file(&from).expect("read");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&from, fs::Permissions::from_mode(0o400)).expect("set");
        place(&from, hash, 3, &to).expect("copied");
        let mode = fs::metadata(&to).expect("there").permissions().mode();
        assert_ne!(mode & 0o777, 0o400, "a copy has the mode of a new file");
    }
    assert_eq!(place(&from, hash, 3, &to).expect("copied").sha256, hash);
}

#[test]
fn sources_as_text() {
    for (text, source) in [
        ("ceremony", Source::default()),
        ("ceremony:http://x/{k}", Source::Ceremony { urls: vec!["http://x/{k}".to_owned()] }),
        (
            "ceremony:http://x/{k},http://y",
            Source::Ceremony { urls: vec!["http://x/{k}".to_owned(), "http://y".to_owned()] },
        ),
        ("unsafe-dev", Source::UnsafeDev),
        ("./kzg.srs", Source::Path("./kzg.srs".into())),
    ] {
        assert_eq!(text.parse(), Ok(source.clone()));
        assert_eq!(source.to_string(), text);
    }
    let texts = |k| {
        let urls = addresses(&[], k).expect("URLs");
        urls.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let axiom = "https://axiom-crypto.s3.amazonaws.com/challenge_0085/kzg_bn254_15.srs";
    assert_eq!(texts(15), ["https://kzg.ezkl.xyz/kzg15.srs", axiom]);
    // No hash of the other ceremony's file is known.
    assert_eq!(texts(20), ["https://kzg.ezkl.xyz/kzg20.srs"]);
}
