"""Private keys: the few kinds that are made here, and their PEM.

P-256 is the default: its signatures cost a server about a twentieth of RSA's, and certificates are smaller.
RSA is there for what does not speak elliptic curves.
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from libelli.live.certificates.errors import BundleError
from libelli.live.certificates.subjects import KeyKind

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PUBLIC_EXPONENT = 65_537


def generate_key(kind: KeyKind) -> PrivateKey:
    """Returns a new key from the operating system's randomness."""
    match kind:
        case KeyKind.P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.RSA2048:
            return rsa.generate_private_key(public_exponent=PUBLIC_EXPONENT, key_size=2048)
        case KeyKind.RSA3072:
            return rsa.generate_private_key(public_exponent=PUBLIC_EXPONENT, key_size=3072)


def kind_of_key(key: PrivateKey) -> KeyKind:
    """Returns the kind of a key that is as good as a new one of that kind.

    A key from elsewhere may be of another size; what is issued after it takes the nearest kind above.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return KeyKind.P256
    return KeyKind.RSA2048 if key.key_size <= 2048 else KeyKind.RSA3072


def encode_key(key: PrivateKey) -> bytes:
    """Returns the key as PEM (PKCS#8), not encrypted: the mode of its file protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def decode_key(data: bytes, *, source: str) -> PrivateKey:
    """Returns the private key in the PEM block `data`.

    Args:
        data: one block, without what stands around it.
        source: names the file in messages.

    Raises:
        BundleError: it is damaged, encrypted, or of a kind that TLS here does not use.
    """
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError as error:
        raise BundleError(
            f"{source}: the private key is encrypted, and a node has nobody to ask for its password: store it plain"
            " in a file with mode 0600"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(f"{source}: the private key is damaged: restore the file or issue it again") from error
    if not isinstance(key, PrivateKey):
        raise BundleError(f"{source}: a key of {type(key).__name__}: use one of {', '.join(KeyKind)}")
    return key
