//! Goal: the client speaks TLS with the authorities and the certificate that it is given, and says which setting to look
//! at otherwise. Method: an authority and certificates made for the test, and a server with canned answers behind TLS.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use crate::canned;
use crate::certificates::{Authority, Identity};
use headwater_registry::{Registry, RegistryError, Settings, SettingsError};
use openssl::asn1::Asn1Time;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVerifyMode};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_openssl::SslStream;

/// A folder with the files of a client, and a server for one of the authority's certificates.
struct Setup {
    folder: TempDir,
    url: String,
}

impl Setup {
    /// A server whose certificate is for `host`, and that wants one of its clients if `mutual`.
    async fn start(host: &str, mutual: bool) -> Self {
        let authority = Authority::new("authority");
        let server = authority.issue(host);
        Self::with(&authority, &server, mutual).await
    }

    /// A server whose certificate has expired.
    async fn expired() -> Self {
        let authority = Authority::new("authority");
        let server = authority.issue_until("localhost", &Asn1Time::from_unix(1).expect("a time"));
        Self::with(&authority, &server, false).await
    }

    async fn with(authority: &Authority, server: &Identity, mutual: bool) -> Self {
        let client = authority.issue("client");
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("a file");
        write("ca.pem", &authority.identity.certificate_pem());
        write("other.pem", &Authority::new("other").identity.certificate_pem());
        write("client.pem", &client.certificate_pem());
        write("client.key", &client.key_pem(None));
        write("secret.key", &client.key_pem(Some("secret")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("it is bound").port());
        tokio::spawn(serve(listener, acceptor(server, authority, mutual)));
        Self { folder, url }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn connect(&self, properties: &[(&str, &Path)]) -> Result<Registry, SettingsError> {
        let paths = properties.iter().map(|(name, path)| (*name, path.to_str().expect("text")));
        let all = std::iter::once(("schema.registry.url", self.url.as_str())).chain(paths);
        Registry::connect(Settings::from_properties(all)?.expect("there is a URL"))
    }

    async fn subjects(&self, properties: &[(&str, &Path)]) -> Result<Vec<String>, RegistryError> {
        self.connect(properties).expect("the files can be used").subjects().await
    }
}

fn acceptor(server: &Identity, authority: &Authority, mutual: bool) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("an acceptor");
    builder.set_certificate(&server.certificate).expect("its certificate");
    builder.set_private_key(&server.key).expect("its key");
    builder.cert_store_mut().add_cert(authority.identity.certificate.clone()).expect("the authority");
    if mutual {
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    builder.build()
}

async fn serve(listener: TcpListener, acceptor: SslAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let ssl = Ssl::new(acceptor.context()).expect("a connection");
        let mut stream = SslStream::new(ssl, stream).expect("a stream");
        tokio::spawn(async move {
            if Pin::new(&mut stream).accept().await.is_ok() {
                canned::serve(stream, Duration::ZERO, |_| (200, "[]".to_owned())).await;
            }
        });
    }
}

const CA: &str = "schema.registry.ssl.ca.location";
const CERTIFICATE: &str = "schema.registry.ssl.certificate.location";
const PASSWORD: &str = "schema.registry.ssl.key.password";
const VERIFY: &str = "schema.registry.ssl.endpoint.identification.algorithm";
const KEY: &str = "schema.registry.ssl.key.location";

#[tokio::test]
async fn a_certificate_must_be_signed_and_for_the_host() {
    let setup = Setup::start("localhost", false).await;
    assert_eq!(setup.subjects(&[(CA, &setup.file("ca.pem"))]).await, Ok(vec![]));
    let error = setup.subjects(&[(CA, &setup.file("other.pem"))]).await.expect_err("another authority");
    assert_eq!(error.setting(), Some(CA));
    assert!(error.to_string().contains("TLS handshake failed: the certificate could not be verified"), "{error}");

    let setup = Setup::start("elsewhere", false).await;
    let error = setup.subjects(&[(CA, &setup.file("ca.pem"))]).await.expect_err("another host");
    let reason = ": TLS handshake failed: the certificate is not for the host \"localhost\"";
    assert!(error.to_string().ends_with(reason), "{error}");
    assert_eq!(error.setting(), Some(VERIFY));
    let off = (VERIFY, Path::new(""));
    assert_eq!(setup.subjects(&[(CA, &setup.file("ca.pem")), off]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_certificate_must_not_have_expired() {
    let setup = Setup::expired().await;
    let error = setup.subjects(&[(CA, &setup.file("ca.pem"))]).await.expect_err("it has expired");
    let reason = ": TLS handshake failed: the certificate, or one that signed it, has expired";
    assert!(error.to_string().ends_with(reason), "{error}");
    assert_eq!(error.setting(), None);
}

#[tokio::test]
async fn a_registry_may_want_a_certificate() {
    let setup = Setup::start("localhost", true).await;
    let (ca, certificate, key) = (setup.file("ca.pem"), setup.file("client.pem"), setup.file("client.key"));
    let error = setup.subjects(&[(CA, &ca)]).await.expect_err("it shows none");
    assert_eq!(error.setting(), Some(CERTIFICATE), "{error}");
    assert_eq!(error.to_string().matches("certificate required").count(), 1, "{error}");
    assert_eq!(setup.subjects(&[(CA, &ca), (CERTIFICATE, &certificate), (KEY, &key)]).await, Ok(vec![]));
    let password = (PASSWORD, Path::new("secret"));
    let secret = setup.file("secret.key");
    let with_password = [(CA, &*ca), (CERTIFICATE, &*certificate), (KEY, &*secret), password];
    assert_eq!(setup.subjects(&with_password).await, Ok(vec![]));
}

#[tokio::test]
async fn the_password_of_a_key_is_asked_for() {
    let setup = Setup::start("localhost", true).await;
    let (certificate, secret) = (setup.file("client.pem"), setup.file("secret.key"));
    let problem = |key: &Path, password: &[(&str, &Path)]| {
        let properties = [&[(CERTIFICATE, &*certificate), (KEY, key)], password].concat();
        setup.connect(&properties).expect_err("the key cannot be read").to_string()
    };
    let file = secret.display();
    assert_eq!(problem(&secret, &[]), format!("{PASSWORD}: is needed for the key in {file}"));
    let wrong = (PASSWORD, Path::new("wrong"));
    assert_eq!(problem(&secret, &[wrong]), format!("{PASSWORD}: could not decrypt the key in {file}"));
    let no_key = setup.file("ca.pem");
    let text = format!("{KEY}: could not read a private key from {}", no_key.display());
    assert_eq!((problem(&no_key, &[]), problem(&no_key, &[wrong])), (text.clone(), text));
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let setup = Setup::start("localhost", false).await;
    let none = setup.file("none.pem");
    let certificate = setup.file("client.pem");
    let with_key = [(CERTIFICATE, &*certificate), (KEY, &*none)];
    for (name, properties) in [(CA, &[(CA, &*none)][..]), (CERTIFICATE, &[(CERTIFICATE, &*none)]), (KEY, &with_key)] {
        let error = setup.connect(properties).expect_err("there is no such file");
        assert_eq!(error.to_string(), format!("{name}: the file {} does not exist", none.display()));
    }
    let problem =
        |properties: &[(&str, &Path)]| setup.connect(properties).expect_err("the files are wrong").to_string();
    let (key, ca, folder) = (setup.file("client.key"), setup.file("ca.pem"), setup.file(""));
    let another = problem(&[(CERTIFICATE, &ca), (KEY, &key)]);
    assert_eq!(another, format!("{KEY}: {} is not the key of the certificate", key.display()));
    assert_eq!(problem(&[(CA, &folder)]), format!("{CA}: {} is a folder, not a file", folder.display()));
    for name in [CA, CERTIFICATE] {
        assert_eq!(problem(&[(name, &key)]), format!("{name}: there is no certificate in {}", key.display()));
    }
    let alone = problem(&[(CERTIFICATE, &certificate)]);
    assert_eq!(alone, format!("{KEY}: is needed: there is no private key in {}", certificate.display()));
}

#[tokio::test]
async fn a_registry_without_tls_is_told_from_one_with_it() {
    let setup = Setup::start("localhost", false).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("it is bound").port());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let plain = Setup { folder: setup.folder, url };
    let error = plain.subjects(&[(CA, &plain.file("ca.pem"))]).await.expect_err("there is no TLS");
    assert!(error.to_string().ends_with("does not speak TLS; is it http:// and not https://?"), "{error}");
}
