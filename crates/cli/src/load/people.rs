//! The customers of made-up brands. Each follows from numbers alone, so that the same customer comes
//! again in another run, and no list of them is kept.

use fastrand::Rng;

use super::popularity::popular;

const CURRENCIES: [&str; 3] = ["EUR", "USD", "GBP"];
/// Of a hundred sessions, so many are on a customer's second device.
const SECOND_DEVICE_PERCENT: u32 = 20;

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct People {
    pub(super) brands: u64,
    /// Of each brand.
    pub(super) people: u64,
}

/// A customer of a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person {
    brand: u64,
    number: u64,
}

impl People {
    /// Somebody; some brands and some people come much more often than others.
    pub(super) fn somebody(self, random: &mut Rng) -> Person {
        Person {
            brand: popular(random, self.brands),
            number: popular(random, self.people),
        }
    }
}

impl Person {
    pub(super) fn brand_id(self) -> String {
        format!("load-{}", self.brand + 1)
    }

    /// What the brand is paid in.
    pub(super) fn currency(self) -> &'static str {
        let at = usize::try_from(self.brand).unwrap_or(0) % CURRENCIES.len();
        CURRENCIES.get(at).copied().unwrap_or("EUR")
    }

    pub(super) fn user_id(self) -> String {
        format!("customer-{}", self.number)
    }

    pub(super) fn email(self) -> String {
        format!("customer.{}@mail.example.com", self.number)
    }

    /// A German mobile number. The first hundred million customers of a brand have their own.
    pub(super) fn phone(self) -> String {
        format!("+49151{:08}", self.number % 100_000_000)
    }

    /// The browser or app of a session.
    pub(super) fn device(self, random: &mut Rng) -> String {
        let is_second = random.u32(0..100) < SECOND_DEVICE_PERCENT;
        let device = if is_second { "app" } else { "web" };
        format!("{device}-{}-{}", self.brand, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_identifiers_that_millrace_takes() {
        let mut random = Rng::with_seed(1);
        for number in [0, 1, 9_999, 99_999_999] {
            let person = Person { brand: 0, number };
            for text in [
                format!("email:{}", person.email()),
                format!("phone:{}", person.phone()),
                format!("user_id:{}", person.user_id()),
                format!("anonymous_id:{}", person.device(&mut random)),
            ] {
                assert!(identity::parse(&text, None).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn people_of_different_brands_are_different_and_paid_in_different_money() {
        let person = |brand| Person { brand, number: 1 };
        assert_ne!(person(0).brand_id(), person(1).brand_id());
        assert_ne!(person(0).currency(), person(1).currency());
        assert_eq!(person(0).currency(), person(3).currency());
    }
}
