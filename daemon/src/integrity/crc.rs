//! Combining CRC64NVMEs without their bytes.
//!
//! A CRC is a remainder modulo a polynomial: to put `n` bytes behind `a` is to multiply it by x^(8n),
//! and then to add the CRC of those bytes. The factor depends on the length alone, and nearly all parts
//! of an object have the same, so it is worked out once and each part costs one multiplication.
//! `crc_fast::checksum_combine` squares 64x64 matrices for every call instead, which takes seconds for
//! 10,000 parts.

/// The polynomial, its bits reversed as the CRC's are.
/// <https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-64-nvme>
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;
/// x^0. With reversed bits the highest bit is the lowest power.
const ONE: u64 = 1 << 63;
/// x^8: one byte.
const BYTE: u64 = ONE >> 8;

/// What it takes to put bytes of one length behind others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Append {
    len: u64,
    /// x^(8 len) modulo the polynomial.
    factor: u64,
}

impl Append {
    /// For `len` bytes.
    pub(super) fn new(len: u64) -> Self {
        let (mut factor, mut power, mut bits) = (ONE, BYTE, len);
        while bits > 0 {
            if bits & 1 == 1 {
                factor = multiply(factor, power);
            }
            power = multiply(power, power);
            bits >>= 1;
        }
        Self { len, factor }
    }

    /// The length it is for.
    pub(super) fn len(self) -> u64 {
        self.len
    }

    /// The CRC of the bytes of `a` followed by those of `b`, which are as many as this is for.
    pub(super) fn combine(self, a: u64, b: u64) -> u64 {
        multiply(a, self.factor) ^ b
    }
}

/// `a * b` modulo the polynomial.
fn multiply(a: u64, b: u64) -> u64 {
    let (mut product, mut shifted) = (0, b);
    for power in (0..64).rev() {
        // Without branches on the bits: they are as good as random, and would be guessed wrong.
        product ^= shifted & ((a >> power) & 1).wrapping_neg();
        shifted = (shifted >> 1) ^ (POLYNOMIAL & (shifted & 1).wrapping_neg());
    }
    product
}
