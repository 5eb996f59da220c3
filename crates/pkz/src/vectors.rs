//! Every vector of the published file (`proto-fixtures/vectors/crypto-vectors.json`) against this crate. What
//! the profile does not use (Magma, OMAC, Streebog-512, KDF_TREE) is computed with the same crate family, so
//! that a wrong file would be noticed.

use std::sync::Arc;

use cmac::Cmac;
use ctr::cipher::{BlockCipherEncrypt as _, KeyIvInit, StreamCipher as _};
use ffd::{FdNumber, FnNumber, Inn};
use hmac::{Hmac, KeyInit as _, Mac as _};
use kkt_proto::{ack, container::Container};
use kuznyechik::Kuznyechik;
use magma::Magma;
use serde_json::Value;
use streebog::{Digest as _, Streebog512};
use zeroize::Zeroizing;

use crate::{
    AckRequest, AckSigner, FiscalSignVerifier, Generation, InvalidReason, Keystore, RawContainer, Scheme,
    SoftPkz, UnverifiableReason, Verdict,
    derive::{DocumentKeys, FnKeys, MasterKey, Purpose, label, message_iv},
    gost::{BodyCipher, KeyedMac},
    streebog::{Hasher, State},
    test_keys,
};

/// A moment inside the period of the published keys.
const NOW: i64 = 1_800_000_000;

fn digest(message: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::from(&State::new());
    hasher.update(message);
    hasher.finish().to_vec()
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../proto-fixtures/vectors/crypto-vectors.json")).unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("no list {key}"))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    hex::decode(text(value, key)).unwrap()
}

fn array<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    bytes(value, key).try_into().unwrap_or_else(|_| panic!("{key} is not {N} bytes"))
}

fn number(value: &Value, key: &str) -> u32 {
    u32::try_from(value[key].as_u64().unwrap()).unwrap()
}

fn generation(value: &Value) -> Generation {
    Generation::new(u8::try_from(number(value, "generation")).unwrap()).unwrap()
}

fn fn_number(value: &Value) -> FnNumber {
    FnNumber::from_padded(text(value, "fn").as_bytes()).unwrap()
}

fn master(purpose: Purpose, generation: Generation) -> Arc<MasterKey> {
    let file = match purpose {
        Purpose::Message => test_keys::message_keystore(),
        Purpose::Operator => test_keys::operator_keystore(),
        Purpose::Document => test_keys::document_keystore(),
    };
    let store = Keystore::parse(file, purpose).unwrap();
    Arc::clone(store.record(generation).unwrap().key())
}

fn keys(value: &Value) -> FnKeys {
    let operator = master(Purpose::Operator, generation(value));
    FnKeys::derive(&fn_number(value), &master(Purpose::Message, generation(value)), Some(&operator)).unwrap()
}

fn kuznyechik_ctr(key: &[u8; 32], iv: &[u8; 8], data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    BodyCipher::new(key).apply(iv, &mut data);
    data
}

/// ГОСТ Р 34.13-2015 for a 64-bit block: vector of 4 bytes, then 4 zero bytes.
fn magma_ctr(key: &[u8; 32], iv: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut block = [0; 8];
    block[..4].copy_from_slice(iv);
    let mut data = data.to_vec();
    ctr::Ctr64BE::<Magma>::new(key.into(), &block.into()).apply_keystream(&mut data);
    data
}

fn kuznyechik_omac(key: &[u8; 32], data: &[u8]) -> Vec<u8> {
    let mut mac = Cmac::<Kuznyechik>::new(key.into());
    mac.update(data);
    mac.finalize().as_bytes().to_vec()
}

fn magma_omac(key: &[u8; 32], data: &[u8]) -> Vec<u8> {
    let mut mac = Cmac::<Magma>::new(key.into());
    mac.update(data);
    mac.finalize().as_bytes().to_vec()
}

/// KDF_TREE_GOSTR3411_2012_256: `K(i) = HMAC(K, i on R bytes | label | 00 | seed | L)`, L in bits.
fn kdf_tree(key: &[u8; 32], label: &[u8], seed: &[u8], r: usize, bits: usize) -> Vec<u8> {
    let bits_be: Vec<u8> = bits.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let round = |i: usize| {
        let i_be = i.to_be_bytes();
        let counter = &i_be[i_be.len() - r..];
        KeyedMac::new(key).mac(&[counter, label, &[0], seed, &bits_be]).to_vec()
    };
    (1..=bits / 256).flat_map(round).collect()
}

fn standard(vector: &Value) -> Vec<u8> {
    let input = || bytes(vector, "in");
    let key = || array::<32>(vector, "key");
    match text(vector, "alg") {
        "kuznyechik_ecb" => {
            let mut block = array::<16>(vector, "in").into();
            Kuznyechik::new(&key().into()).encrypt_block(&mut block);
            block.to_vec()
        }
        "magma_ecb" => {
            let mut block = array::<8>(vector, "in").into();
            Magma::new(&key().into()).encrypt_block(&mut block);
            block.to_vec()
        }
        "kuznyechik_ctr" => kuznyechik_ctr(&key(), &array(vector, "iv"), &input()),
        "magma_ctr" => magma_ctr(&key(), &array(vector, "iv"), &input()),
        "kuznyechik_omac" => kuznyechik_omac(&key(), &input()),
        "magma_omac" => magma_omac(&key(), &input()),
        "streebog256" => digest(&input()),
        "streebog512" => Streebog512::digest(input()).to_vec(),
        "hmac256" => KeyedMac::new(&key()).mac(&[&input()]).to_vec(),
        "hmac512" => {
            let mut mac = Hmac::<Streebog512>::new_from_slice(&key()).unwrap();
            mac.update(&input());
            mac.finalize().as_bytes().to_vec()
        }
        "kdf256" => KeyedMac::new(&key()).derive(&bytes(vector, "label"), &bytes(vector, "seed")).to_vec(),
        "kdf_tree" => {
            let parameter = |name| usize::try_from(number(vector, name)).unwrap();
            let (label, seed) = (bytes(vector, "label"), bytes(vector, "seed"));
            kdf_tree(&key(), &label, &seed, parameter("r"), parameter("bits"))
        }
        other => panic!("a vector of an unknown algorithm: {other}"),
    }
}

#[test]
fn standard_vectors() {
    let file = vectors();
    assert_eq!(list(&file, "standard").len(), 14);
    for vector in list(&file, "standard") {
        let mut output = standard(vector);
        if let Some(len) = vector["mac_bytes"].as_u64() {
            output.truncate(usize::try_from(len).unwrap());
        }
        assert_eq!(hex::encode(output), text(vector, "out"), "{}", text(vector, "name"));
    }
}

#[test]
fn primitive_sets() {
    let file = vectors();
    assert_eq!(list(&file, "primitives").len(), 8);
    for set in list(&file, "primitives") {
        let (key, data) = (array::<32>(set, "key"), bytes(set, "data"));
        let check = |name: &str, output: Vec<u8>| {
            let expected = set[name]["out"].as_str().or_else(|| set[name].as_str()).unwrap();
            assert_eq!(hex::encode(output), expected, "{name}, {} bytes", data.len());
        };
        check("streebog256", digest(&data));
        check("streebog512", Streebog512::digest(&data).to_vec());
        check("hmac256", KeyedMac::new(&key).mac(&[&data]).to_vec());
        check("kuznyechik_ctr", kuznyechik_ctr(&key, &array(&set["kuznyechik_ctr"], "iv"), &data));
        check("magma_ctr", magma_ctr(&key, &array(&set["magma_ctr"], "iv"), &data));
        let kdf = &set["kdf256"];
        check(
            "kdf256",
            KeyedMac::new(&key).derive(text(kdf, "label").as_bytes(), &bytes(kdf, "seed")).to_vec(),
        );
        if !data.is_empty() {
            check("kuznyechik_omac", kuznyechik_omac(&key, &data));
            check("magma_omac", magma_omac(&key, &data));
        }
    }
}

#[test]
fn published_masters_and_their_check_values() {
    let file = vectors();
    assert_eq!(list(&file, "keystore").len(), 2);
    for set in list(&file, "keystore") {
        for purpose in [Purpose::Message, Purpose::Operator, Purpose::Document] {
            let raw = array::<32>(&set["masters"], purpose.as_str());
            let made = MasterKey::new(purpose, generation(set), Box::new(Zeroizing::new(raw)));
            assert_eq!(made.kcv().to_string(), text(&set["kcv"], purpose.as_str()));
            assert_eq!(master(purpose, generation(set)).kcv(), made.kcv(), "published text of {purpose}");
            assert!(made.is_published_test_key());
        }
    }
}

#[test]
fn derived_keys() {
    let file = vectors();
    assert_eq!(list(&file, "derived").len(), 4);
    for set in list(&file, "derived") {
        let fn8 = fn_number(set).to_bcd();
        let check = |name: &str, purpose, label| {
            let key = master(purpose, generation(set)).diversify(label, &fn8);
            assert_eq!(hex::encode(**key), text(&set["keys"], name), "{name} of {}", text(set, "fn"));
        };
        check("doc", Purpose::Document, label::FPD);
        check("fps", Purpose::Message, label::FPS);
        check("fpp", Purpose::Message, label::FPP);
        check("fpo", Purpose::Operator, label::FPO);
        check("enc_up", Purpose::Message, label::UP);
        check("enc_dn", Purpose::Message, label::DOWN);
    }
}

#[test]
fn signs_of_messages() {
    let file = vectors();
    assert_eq!(list(&file, "messages").len(), 4);
    for message in list(&file, "messages") {
        let (document, keys) = (bytes(message, "body"), keys(message));
        assert_eq!(hex::encode(fn_number(message).to_bcd()), text(message, "fn8"));
        let fpd = DocumentKeys::derive(&fn_number(message), &master(Purpose::Document, generation(message)))
            .unwrap();
        let fpd = fpd.fpd(&document).unwrap();
        assert_eq!(hex::encode(fpd), text(message, "fpd"));
        let [_, _, printed @ ..] = fpd;
        assert_eq!(u32::from_be_bytes(printed), number(message, "fpd_u32"));
        let fps = array::<8>(message, "fps");
        assert_eq!(keys.fps(&document), fps);
        assert!(keys.check_fps(&document, &fps));
        let in_json = message["fps_json"].as_u64().or_else(|| message["fps_json"].as_str()?.parse().ok());
        assert_eq!(Some(u64::from_be_bytes(fps)), in_json);

        let ack = &message["ack"];
        let inn = Inn::from_padded(text(ack, "ofd_inn").as_bytes()).unwrap();
        let fd_number = FdNumber::new(number(message, "doc_number")).unwrap();
        let fpo = keys.fpo(&inn, fd_number, number(ack, "datetime")).unwrap();
        assert_eq!(hex::encode(fpo), text(ack, "fpo"));
        assert_eq!(hex::encode(keys.fpp(&bytes(ack, "body"))), text(ack, "fpp"));
        assert!(keys.check_fpp(&bytes(ack, "body"), &array(ack, "fpp")));
    }
}

#[test]
fn containers_open_and_encrypted_are_opened() {
    let device = test_keys::soft_pkz(NOW);
    for message in list(&vectors(), "messages") {
        let fn_number = fn_number(message);
        for (name, encrypted) in [("container_plain", false), ("container_encrypted", true)] {
            let container = bytes(message, name);
            let container = Container::decode(&container).unwrap();
            let outcome = device.open(&RawContainer { fn_number, container });
            assert_eq!(outcome.was_encrypted, encrypted);
            assert_eq!(hex::encode(outcome.document.unwrap()), text(message, "body"));
            assert_eq!(outcome.sign, array(message, "fps"));
            let expected = Verdict::Valid { scheme: Scheme::SoftGost1, generation: generation(message) };
            assert_eq!(outcome.verdict, expected);
        }
        let mut body = bytes(message, "body");
        keys(message).crypt_up(&array(message, "iv_up"), &mut body);
        assert_eq!(hex::encode(body), text(message, "body_encrypted"));
    }
}

#[test]
fn acknowledgements_are_sealed_to_the_byte() {
    let device = test_keys::soft_pkz(NOW);
    for message in list(&vectors(), "messages") {
        let vector = &message["ack"];
        let request = bytes(message, "container_plain");
        let request = Container::decode(&request).unwrap();
        let ofd_inn = Inn::from_padded(text(vector, "ofd_inn").as_bytes()).unwrap();
        let (fn_number, fd_number) =
            (fn_number(message), FdNumber::new(number(message, "doc_number")).unwrap());
        let fields = ack::AckFields {
            ofd_inn,
            fn_number,
            fd_number,
            datetime: number(vector, "datetime"),
            code: ack::OperatorCode(0),
            format: ack::AckFormat::Message1068,
        };
        let items = fields.items();
        for (name, encrypt) in [("container_plain", false), ("container_encrypted", true)] {
            let sealed = device
                .seal(&AckRequest {
                    fn_number,
                    generation: Some(generation(message)),
                    fd_number,
                    ofd_inn,
                    datetime: number(vector, "datetime"),
                    items: &items.bytes,
                    fpo_offset: items.fpo_offset,
                    reply_to: &request.header,
                    iv: array(vector, "iv_down"),
                    encrypt,
                })
                .unwrap();
            assert_eq!(hex::encode(sealed.container), text(vector, name));
            assert_eq!(sealed.fpo.map(hex::encode).as_deref(), vector["fpo"].as_str());
            assert_eq!(hex::encode(sealed.fpp), text(vector, "fpp"));
        }
    }
}

/// The register's end: what it gets opens with K_dn and bears the ФПП.
#[test]
fn encrypted_acknowledgements_open_at_the_storage() {
    for message in list(&vectors(), "messages") {
        let (vector, keys) = (&message["ack"], keys(message));
        let container = bytes(vector, "container_encrypted");
        let container = Container::decode(&container).unwrap();
        let mut document = container.data.to_vec();
        keys.crypt_down(&container.header.iv, &mut document);
        assert_eq!(hex::encode(&document), text(vector, "body"));
        assert!(keys.check_fpp(&document, &container.sign));
    }
}

#[test]
fn vectors_of_initialisation_follow_the_producers_rule() {
    for message in list(&vectors(), "messages") {
        let fd_number = FdNumber::new(number(message, "doc_number")).unwrap();
        for iv in [array::<8>(message, "iv_up"), array::<8>(&message["ack"], "iv_down")] {
            let [a, b, c, d, e, ..] = iv;
            assert_eq!(message_iv([a, b, c, d, e], fd_number), iv);
        }
    }
}

fn expected_verdict(name: &str) -> Verdict {
    match name {
        "Invalid(Mismatch)" => Verdict::Invalid(InvalidReason::Mismatch),
        "Invalid(Malformed)" => Verdict::Invalid(InvalidReason::Malformed),
        "Invalid(WrongKind)" => Verdict::Invalid(InvalidReason::WrongKind),
        "Unverifiable(ForeignScheme)" => Verdict::Unverifiable(UnverifiableReason::ForeignScheme),
        "Unverifiable(UnknownGeneration)" => Verdict::Unverifiable(UnverifiableReason::UnknownGeneration),
        other => panic!("an unknown verdict: {other}"),
    }
}

/// The same case through the whole door: a container around it, its length field as the document says.
fn open_as_container(device: &SoftPkz, case: &Value) -> Verdict {
    let file = vectors();
    let donor = bytes(&list(&file, "messages")[0], "container_plain");
    let mut header = Container::decode(&donor).unwrap().header;
    header.fn_number = fn_number(case);
    let container = kkt_proto::container::encode(&header, &bytes(case, "body"), array(case, "fps")).unwrap();
    let container = Container::decode(&container).unwrap();
    let outcome = device.open(&RawContainer { fn_number: fn_number(case), container });
    assert!(outcome.document.is_some() && !outcome.was_encrypted, "an open body stays readable");
    outcome.verdict
}

#[test]
fn negative_cases() {
    let (file, device) = (vectors(), test_keys::soft_pkz(NOW));
    assert_eq!(list(&file, "negative").len(), 8);
    for case in list(&file, "negative") {
        let expected = expected_verdict(text(case, "expect"));
        let found = device.verify(&fn_number(case), &bytes(case, "body"), &array(case, "fps"));
        assert_eq!(found, expected, "{}", text(case, "case"));
        assert_eq!(open_as_container(&device, case), expected, "{} in a container", text(case, "case"));
    }
}
