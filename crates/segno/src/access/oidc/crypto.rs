//! Signatures of tokens, verified by ring: the program has no other cryptography.

use std::sync::Once;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwkUtils, JwtSigner, JwtVerifier},
    errors::{Error, ErrorKind, Result},
    signature::{self, Verifier},
};
use ring::signature as rings;

/// The algorithms that are taken. None that signs with a shared secret is among them, and `none` is none.
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    jwk_utils: JwkUtils::new_unimplemented(),
};

/// Has `jsonwebtoken` verify by ring. If the program that this library is part of has chosen something else before, it verifies
/// by that.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if PROVIDER.install_default().is_err() {
            tracing::debug!("the program has chosen by what tokens are verified");
        }
    });
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(Error::from(ErrorKind::InvalidAlgorithm))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let rsa = |parameters: &'static rings::RsaParameters| match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => Ok(Key::Rsa(parameters, n.clone(), e.clone())),
        DecodingKeyKind::SecretOrDer(_) => Err(ErrorKind::InvalidKeyFormat),
    };
    let point = |by: &'static dyn rings::VerificationAlgorithm, family| match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) if key.family() == family => Ok(Key::Point(by, bytes.clone())),
        _ => Err(ErrorKind::InvalidKeyFormat),
    };
    let key = match algorithm {
        Algorithm::RS256 => rsa(&rings::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => rsa(&rings::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => rsa(&rings::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => rsa(&rings::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => rsa(&rings::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => rsa(&rings::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => point(&rings::ECDSA_P256_SHA256_FIXED, AlgorithmFamily::Ec),
        Algorithm::ES384 => point(&rings::ECDSA_P384_SHA384_FIXED, AlgorithmFamily::Ec),
        Algorithm::EdDSA => point(&rings::ED25519, AlgorithmFamily::Ed),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Err(ErrorKind::InvalidAlgorithm),
    };
    let (key, algorithm) = (key.map_err(Error::from)?, *algorithm);
    Ok(Box::new(ByRing { key, algorithm }))
}

enum Key {
    /// Modulus and exponent.
    Rsa(&'static rings::RsaParameters, Vec<u8>, Vec<u8>),
    Point(&'static dyn rings::VerificationAlgorithm, Vec<u8>),
}

struct ByRing {
    key: Key,
    algorithm: Algorithm,
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let verified = match &self.key {
            Key::Rsa(parameters, n, e) => {
                rings::RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            Key::Point(by, point) => rings::UnparsedPublicKey::new(*by, point).verify(message, signed),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
