//! An authority and the certificates that it issues.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef};

pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
}

pub struct Authority {
    pub identity: Identity,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = new_key();
        let subject = named(name);
        let mut builder = builder(&subject, &subject, &key);
        builder.append_extension(BasicConstraints::new().ca().build().expect("an extension")).expect("it is added");
        builder.sign(&key, MessageDigest::sha256()).expect("it is signed");
        Self { identity: Identity { certificate: builder.build(), key } }
    }

    /// A certificate for a host.
    pub fn issue(&self, host: &str) -> Identity {
        self.issue_until(host, &Asn1Time::days_from_now(1).expect("a time"))
    }

    /// The same with another end.
    pub fn issue_until(&self, host: &str, end: &Asn1Time) -> Identity {
        let key = new_key();
        let mut builder = builder(&named(host), self.identity.certificate.subject_name(), &key);
        builder.set_not_after(end).expect("a time");
        let context = builder.x509v3_context(Some(&self.identity.certificate), None);
        let hosts = SubjectAlternativeName::new().dns(host).build(&context).expect("an extension");
        builder.append_extension(hosts).expect("it is added");
        builder.sign(&self.identity.key, MessageDigest::sha256()).expect("it is signed");
        Identity { certificate: builder.build(), key }
    }
}

impl Identity {
    pub fn certificate_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("it can be written")
    }

    pub fn key_pem(&self, password: Option<&str>) -> Vec<u8> {
        let pem = match password {
            None => self.key.private_key_to_pem_pkcs8(),
            Some(word) => self.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), word.as_bytes()),
        };
        pem.expect("it can be written")
    }
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn named(name: &str) -> X509Name {
    let mut builder = X509Name::builder().expect("a name");
    builder.append_entry_by_nid(Nid::COMMONNAME, name).expect("a name");
    builder.build()
}

fn builder(subject: &X509NameRef, issuer: &X509NameRef, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509Builder::new().expect("a certificate");
    builder.set_version(2).expect("version 3");
    let serial = BigNum::from_u32(1).and_then(|number| number.to_asn1_integer()).expect("a number");
    builder.set_serial_number(&serial).expect("a number");
    builder.set_subject_name(subject).expect("a name");
    builder.set_issuer_name(issuer).expect("a name");
    builder.set_pubkey(key).expect("a key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(1).expect("a time")).expect("a time");
    builder
}
