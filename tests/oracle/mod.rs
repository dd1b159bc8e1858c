//! An independent oracle: what the source document and its reading say about each case, written as plain conditions.
//!
//! It shares nothing with the policies, the schema or the plugins. The samples of phone numbers and e-mail addresses
//! carry what they are as data, so nothing is parsed here.

use serde_json::{Map, Value, json};

/// The kind of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Direct,
    Partner,
    Managed,
}

/// Whether the account is new or existing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    New,
    Existing,
}

/// Who supports the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supporter {
    Megaport,
    Partner,
}

/// The role of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    CompanyAdmin,
    SalesTeam,
    AccountUser,
}

/// Everything that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    RequireSupportContact,
    DisplaySupportContact,
    ListSupportContact,
    ViewSupportContact,
    EnterSupportContact,
    EditSupportContact,
    DeleteSupportContact,
    PlaceOrder,
    SaveConfiguration,
    ViewPricing,
    ViewMegaportContacts,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    Portal,
    User { role: Role, same_account: bool },
}

/// A phone number as typed, and those of the markets used here that it is valid for when it is read in that market.
#[derive(Clone, Copy, Debug)]
pub struct Phone {
    pub raw: &'static str,
    pub valid_for: &'static [&'static str],
}

/// An e-mail address as typed, and its domain in lower case and IDNA form; none if the address is malformed.
#[derive(Clone, Copy, Debug)]
pub struct Email {
    pub raw: &'static str,
    pub domain: Option<&'static str>,
}

/// One question to the service.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub kind: Kind,
    pub stage: Stage,
    pub supporter: Supporter,
    pub services: i64,
    pub market: Option<&'static str>,
    pub contact_given: bool,
    pub sign_up: &'static str,
    pub asker: Asker,
    pub action: Action,
    pub phone: Option<Phone>,
    pub email: Option<Email>,
}

// ---------------------------------------------------------------------------------------------------------------------
// What the document says
// ---------------------------------------------------------------------------------------------------------------------

/// The decision for a case. Only the portal asks the three questions about the page, only users ask the others.
pub fn expected(case: &Case) -> bool {
    match case.asker {
        Asker::Portal => match case.action {
            Action::RequireSupportContact => must_give_contact(case),
            Action::DisplaySupportContact => shown_on_the_page(case),
            Action::ListSupportContact => shown_in_the_list(case),
            _ => false,
        },
        Asker::User { role, same_account } => match case.action {
            Action::RequireSupportContact | Action::DisplaySupportContact | Action::ListSupportContact => false,
            Action::ViewSupportContact => may_view(case, role, same_account),
            Action::EnterSupportContact => may_enter(case, role, same_account),
            Action::EditSupportContact => may_edit(case, role, same_account),
            Action::DeleteSupportContact => may_delete(),
            Action::PlaceOrder => may_order(case, same_account),
            Action::SaveConfiguration | Action::ViewPricing => may_prepare(same_account),
            Action::ViewMegaportContacts => may_view_megaport_contacts(case, role, same_account),
        },
    }
}

/// The rows for direct accounts: a new one however many services it has, an existing one only without services, where
/// anything below one counts as without.
fn direct_in_setup(case: &Case) -> bool {
    if case.kind != Kind::Direct {
        return false;
    }
    match case.stage {
        Stage::New => true,
        Stage::Existing => case.services < 1,
    }
}

/// The two rows for new partner accounts, which say the same for either supporter.
fn new_partner(case: &Case) -> bool {
    case.kind == Kind::Partner && case.stage == Stage::New
}

/// The column on required details, with the later sentence about direct accounts, which leaves the supporter open.
/// Of the new managed accounts, only those that Megaport supports. Whatever has no row: no.
fn must_give_contact(case: &Case) -> bool {
    if direct_in_setup(case) || new_partner(case) {
        return true;
    }
    if case.kind == Kind::Managed && case.stage == Stage::New {
        return case.supporter == Supporter::Megaport;
    }
    false
}

/// The column on displayed details: direct accounts as in the rows, so with Megaport only; new partner accounts; no
/// managed ones. Whatever has no row: no.
fn shown_on_the_page(case: &Case) -> bool {
    if direct_in_setup(case) {
        return case.supporter == Supporter::Megaport;
    }
    new_partner(case)
}

/// The remark on the managed account list stands in the partner rows only.
fn shown_in_the_list(case: &Case) -> bool {
    new_partner(case)
}

/// The four sentences on viewing: admins on any kind of account, ordinary users of a direct account, ordinary users of
/// a managed account if its partner supports it. Ordinary partner users and the sales team are not mentioned. All of
/// this on the user's own account, whether or not a contact is there.
fn may_view(case: &Case, role: Role, same_account: bool) -> bool {
    if !same_account {
        return false;
    }
    match role {
        Role::CompanyAdmin => true,
        Role::SalesTeam => false,
        Role::AccountUser => match case.kind {
            Kind::Direct => true,
            Kind::Managed => case.supporter == Supporter::Partner,
            Kind::Partner => false,
        },
    }
}

/// The sentence on the initial set-up: an admin on the own account or the sales team on any one, as long as no contact
/// is there, and with valid details.
fn may_enter(case: &Case, role: Role, same_account: bool) -> bool {
    let may_fill_in = match role {
        Role::CompanyAdmin => same_account,
        Role::SalesTeam => true,
        Role::AccountUser => false,
    };
    may_fill_in && !case.contact_given && valid_details(case)
}

/// The sentences on editing: only admins, on the own account, once a contact is there, and with valid details.
fn may_edit(case: &Case, role: Role, same_account: bool) -> bool {
    role == Role::CompanyAdmin && same_account && case.contact_given && valid_details(case)
}

/// The half sentence on deleting: nobody, never.
fn may_delete() -> bool {
    false
}

/// The note on orders: a direct account in set-up needs a contact and a billing market first. Nothing else is said, so
/// every user of any other account may.
fn may_order(case: &Case, same_account: bool) -> bool {
    if !same_account {
        return false;
    }
    if direct_in_setup(case) {
        return case.contact_given && case.market.is_some();
    }
    true
}

/// The second half of the note: saved configurations and pricing are open to every user of the account, set up or not.
fn may_prepare(same_account: bool) -> bool {
    same_account
}

/// The account manager's addresses are on the same page as the details, so they follow viewing.
fn may_view_megaport_contacts(case: &Case, role: Role, same_account: bool) -> bool {
    may_view(case, role, same_account)
}

/// The steps for entering: both the number and the address have to be there and valid.
fn valid_details(case: &Case) -> bool {
    valid_phone(case) && valid_email(case)
}

/// The step for the number: it is valid for the billing market. Without a market there is no format to meet.
fn valid_phone(case: &Case) -> bool {
    match (case.phone, case.market) {
        (Some(phone), Some(market)) => phone.valid_for.contains(&market),
        _ => false,
    }
}

/// The step for the address: it and the sign-up address are well formed and of one domain.
fn valid_email(case: &Case) -> bool {
    let given = case.email.and_then(|email| email.domain);
    let signed_up = SIGN_UPS.iter().find(|sample| sample.raw == case.sign_up).and_then(|sample| sample.domain);
    match (given, signed_up) {
        (Some(given), Some(signed_up)) => given == signed_up,
        _ => false,
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Samples
// ---------------------------------------------------------------------------------------------------------------------

const KINDS: &[Kind] = &[Kind::Direct, Kind::Partner, Kind::Managed];
const STAGES: &[Stage] = &[Stage::New, Stage::Existing];
const SUPPORTERS: &[Supporter] = &[Supporter::Megaport, Supporter::Partner];
const SERVICES: &[i64] = &[0, 1, 7];
const MARKETS: &[Option<&str>] = &[None, Some("AU"), Some("GB")];

/// More markets for the smaller product with more numbers. The last one is no market: codes are compared exactly.
const MORE_MARKETS: &[Option<&str>] =
    &[None, Some("AU"), Some("GB"), Some("US"), Some("CA"), Some("JE"), Some("CX"), Some("au")];

const USERS: &[Asker] = &[
    Asker::User { role: Role::CompanyAdmin, same_account: true },
    Asker::User { role: Role::CompanyAdmin, same_account: false },
    Asker::User { role: Role::SalesTeam, same_account: true },
    Asker::User { role: Role::SalesTeam, same_account: false },
    Asker::User { role: Role::AccountUser, same_account: true },
    Asker::User { role: Role::AccountUser, same_account: false },
];

/// Two users who may enter something, one of whom may edit, for products that are about the details.
const TRUSTED: &[Asker] = &[
    Asker::User { role: Role::CompanyAdmin, same_account: true },
    Asker::User { role: Role::SalesTeam, same_account: false },
];

/// The two actions that take a phone number and an e-mail address.
const WITH_DETAILS: &[Action] = &[Action::EnterSupportContact, Action::EditSupportContact];

const WITHOUT_DETAILS: &[Action] = &[
    Action::RequireSupportContact,
    Action::DisplaySupportContact,
    Action::ListSupportContact,
    Action::ViewSupportContact,
    Action::DeleteSupportContact,
    Action::PlaceOrder,
    Action::SaveConfiguration,
    Action::ViewPricing,
    Action::ViewMegaportContacts,
];

const AU_NATIONAL: Phone = Phone { raw: "(02) 9374 4000", valid_for: &["AU"] };
const AU_INTERNATIONAL: Phone = Phone { raw: "+61 2 9374 4000", valid_for: &["AU"] };
const GB_INTERNATIONAL: Phone = Phone { raw: "+44 20 7031 3000", valid_for: &["GB"] };

/// The numbers of the whole product.
const PHONES: &[Phone] = &[
    AU_NATIONAL,
    AU_INTERNATIONAL,
    Phone { raw: "(02) 9374 4000 ext. 12", valid_for: &["AU"] },
    Phone { raw: "020 7031 3000", valid_for: &["GB"] },
    GB_INTERNATIONAL,
    // Jersey, which shares the calling code of GB.
    Phone { raw: "+44 1534 440000", valid_for: &["JE"] },
    Phone { raw: "+1 650 253 0000", valid_for: &["US"] },
    // Toronto.
    Phone { raw: "+1 416 392 2489", valid_for: &["CA"] },
    Phone { raw: "123", valid_for: &[] },
    Phone { raw: "call the help desk", valid_for: &[] },
    Phone { raw: "", valid_for: &[] },
];

/// More numbers, for a smaller product.
const MORE_PHONES: &[Phone] = &[
    Phone { raw: "02.9374.4000", valid_for: &["AU"] },
    // Mobile numbers, which AU shares with its territories.
    Phone { raw: "0412 345 678", valid_for: &["AU", "CX"] },
    Phone { raw: "+61 412 345 678", valid_for: &["AU", "CX"] },
    // Digits of full width.
    Phone { raw: "+６１ ２ ９３７４ ４０００", valid_for: &["AU"] },
    // Christmas Island, which shares the calling code of AU.
    Phone { raw: "+61 8 9164 1234", valid_for: &["CX"] },
    // A toll-free number that AU shares with its territories.
    Phone { raw: "+61 1800 160 401", valid_for: &["AU", "CX"] },
    Phone { raw: "+44 20 7031 3000 ext. 5", valid_for: &["GB"] },
    // A Jersey number in national format, which under GB still is one of Jersey.
    Phone { raw: "01534 440000", valid_for: &["JE"] },
    Phone { raw: "(650) 253-0000", valid_for: &["US"] },
    Phone { raw: "(416) 392-2489", valid_for: &["CA"] },
    // A toll-free number of the whole North American plan.
    Phone { raw: "+1 800 234 5678", valid_for: &["US", "CA"] },
    // Too long, a calling code that nobody has, no digits, 10 kB.
    Phone { raw: "+61 2 9374 4000 4000 4000", valid_for: &[] },
    Phone { raw: "+999 2 9374 4000", valid_for: &[] },
    Phone { raw: "+", valid_for: &[] },
    Phone { raw: TEN_KILOBYTES, valid_for: &[] },
];

const TEN_KILOBYTES: &str = match std::str::from_utf8(&[b'9'; 10_240]) {
    Ok(digits) => digits,
    Err(_) => "",
};

const SIGN_UP: &str = "owner@acme.example";
const SAME_DOMAIN: Email = Email { raw: "support@acme.example", domain: Some("acme.example") };
const OTHER_DOMAIN: Email = Email { raw: "support@elsewhere.example", domain: Some("elsewhere.example") };
const DISPLAY_TEXT: Email = Email { raw: "Support <support@acme.example>", domain: None };

/// The addresses of the whole product.
const EMAILS: &[Email] = &[
    SAME_DOMAIN,
    Email { raw: "Support@ACME.Example", domain: Some("acme.example") },
    Email { raw: "support@desk.acme.example", domain: Some("desk.acme.example") },
    OTHER_DOMAIN,
    DISPLAY_TEXT,
    // No at sign, two at signs, a domain literal, a single label.
    Email { raw: "support.acme.example", domain: None },
    Email { raw: "support@desk@acme.example", domain: None },
    Email { raw: "support@[192.0.2.1]", domain: None },
    Email { raw: "support@acme", domain: None },
];

/// More addresses, for the smaller product with the sign-up addresses.
const MORE_EMAILS: &[Email] = &[
    // The sign-up mailbox itself, and one with a tag.
    Email { raw: "owner@acme.example", domain: Some("acme.example") },
    Email { raw: "support+tech@acme.example", domain: Some("acme.example") },
    // Domains that only end or begin like the right one.
    Email { raw: "support@notacme.example", domain: Some("notacme.example") },
    Email { raw: "support@acme.example.elsewhere.example", domain: Some("acme.example.elsewhere.example") },
    // One domain in four spellings, and a different one without the umlaut.
    Email { raw: "it@bücher.example", domain: Some("xn--bcher-kva.example") },
    Email { raw: "it@BÜCHER.example", domain: Some("xn--bcher-kva.example") },
    Email { raw: "it@xn--bcher-kva.example", domain: Some("xn--bcher-kva.example") },
    Email { raw: "it@XN--BCHER-KVA.Example", domain: Some("xn--bcher-kva.example") },
    Email { raw: "it@bucher.example", domain: Some("bucher.example") },
    // Nothing, no mailbox, no domain, an empty label, a bare space, 10 kB.
    Email { raw: "", domain: None },
    Email { raw: "@acme.example", domain: None },
    Email { raw: "support@", domain: None },
    Email { raw: "support@acme..example", domain: None },
    Email { raw: "sup port@acme.example", domain: None },
    Email { raw: TEN_KILOBYTES, domain: None },
];

/// The sign-up addresses. The first is the one of the whole product.
const SIGN_UPS: &[Email] = &[
    Email { raw: SIGN_UP, domain: Some("acme.example") },
    Email { raw: "Owner@Acme.EXAMPLE", domain: Some("acme.example") },
    Email { raw: "owner@desk.acme.example", domain: Some("desk.acme.example") },
    Email { raw: "ops@bücher.example", domain: Some("xn--bcher-kva.example") },
    Email { raw: "ops@xn--bcher-kva.example", domain: Some("xn--bcher-kva.example") },
    Email { raw: "", domain: None },
    Email { raw: "owner.acme.example", domain: None },
    Email { raw: "owner@desk@acme.example", domain: None },
    Email { raw: "Owner <owner@acme.example>", domain: None },
    Email { raw: "owner@[192.0.2.1]", domain: None },
    Email { raw: "owner@acme", domain: None },
];

// ---------------------------------------------------------------------------------------------------------------------
// Cases
// ---------------------------------------------------------------------------------------------------------------------

/// Every case: the whole product, and smaller ones for rarer values.
pub fn cases() -> impl Iterator<Item = Case> {
    whole_product()
        .chain(negative_services())
        .chain(sign_up_addresses())
        .chain(more_phones())
        .chain(missing_details())
        .chain(surplus_details())
}

/// What every product starts from and changes.
const START: Case = Case {
    kind: Kind::Direct,
    stage: Stage::New,
    supporter: Supporter::Megaport,
    services: 0,
    market: Some("AU"),
    contact_given: false,
    sign_up: SIGN_UP,
    asker: Asker::Portal,
    action: Action::RequireSupportContact,
    phone: None,
    email: None,
};

/// Each case once with each value. Boxed, because ten of these in one another would make a type whose name takes gigabytes.
fn across<T: Copy + 'static>(
    cases: impl Iterator<Item = Case> + 'static,
    values: &'static [T],
    set: fn(&mut Case, T),
) -> Box<dyn Iterator<Item = Case>> {
    Box::new(cases.flat_map(move |case| {
        values.iter().map(move |value| {
            let mut changed = case;
            set(&mut changed, *value);
            changed
        })
    }))
}

fn start() -> impl Iterator<Item = Case> {
    std::iter::once(START)
}

/// Accounts of all kinds, stages and supporters, with and without a contact.
fn accounts() -> impl Iterator<Item = Case> {
    let cases = across(start(), KINDS, |case, kind| case.kind = kind);
    let cases = across(cases, STAGES, |case, stage| case.stage = stage);
    let cases = across(cases, SUPPORTERS, |case, supporter| case.supporter = supporter);
    across(cases, &[false, true], |case, given| case.contact_given = given)
}

/// The accounts with every market and number of services.
fn all_accounts() -> impl Iterator<Item = Case> {
    let cases = across(accounts(), MARKETS, |case, market| case.market = market);
    across(cases, SERVICES, |case, services| case.services = services)
}

fn by_users(cases: impl Iterator<Item = Case> + 'static) -> impl Iterator<Item = Case> {
    across(cases, USERS, |case, asker| case.asker = asker)
}

fn without_details(cases: impl Iterator<Item = Case> + 'static) -> impl Iterator<Item = Case> {
    across(cases, WITHOUT_DETAILS, |case, action| case.action = action)
}

fn with_details(
    cases: impl Iterator<Item = Case> + 'static,
    phones: &'static [Phone],
    emails: &'static [Email],
) -> impl Iterator<Item = Case> {
    let cases = across(cases, WITH_DETAILS, |case, action| case.action = action);
    let cases = across(cases, phones, |case, phone| case.phone = Some(phone));
    across(cases, emails, |case, email| case.email = Some(email))
}

/// All accounts, askers and actions, with every number and address of the first lists. The portal, which may enter
/// nothing, tries it with good details only.
fn whole_product() -> impl Iterator<Item = Case> {
    without_details(by_users(all_accounts()))
        .chain(without_details(all_accounts()))
        .chain(with_details(by_users(all_accounts()), PHONES, EMAILS))
        .chain(with_details(all_accounts(), &[AU_INTERNATIONAL, GB_INTERNATIONAL], &[SAME_DOMAIN]))
}

/// A negative number of services is none.
fn negative_services() -> impl Iterator<Item = Case> {
    let negative = || {
        let cases = across(accounts(), MARKETS, |case, market| case.market = market);
        across(cases, &[-1], |case, services| case.services = services)
    };
    without_details(by_users(negative())).chain(without_details(negative())).chain(with_details(
        by_users(negative()),
        &[AU_INTERNATIONAL, GB_INTERNATIONAL],
        &[SAME_DOMAIN],
    ))
}

/// All addresses against all sign-up addresses; and the other actions, which a bad sign-up address does not disturb.
fn sign_up_addresses() -> impl Iterator<Item = Case> {
    let signed_up = |kinds: &'static [Kind], sign_ups: &'static [Email]| {
        let cases = across(start(), kinds, |case, kind| case.kind = kind);
        let cases = across(cases, &[false, true], |case, given| case.contact_given = given);
        across(cases, sign_ups, |case, sign_up| case.sign_up = sign_up.raw)
    };
    let others = &SIGN_UPS[1..];
    with_details(by_users(signed_up(KINDS, others)), &[AU_NATIONAL], EMAILS)
        .chain(with_details(by_users(signed_up(&[Kind::Direct], SIGN_UPS)), &[AU_NATIONAL], MORE_EMAILS))
        .chain(without_details(by_users(signed_up(KINDS, others))))
        .chain(without_details(signed_up(KINDS, others)))
}

/// More numbers and markets.
fn more_phones() -> impl Iterator<Item = Case> {
    let cases = || {
        let cases = across(start(), &[false, true], |case, given| case.contact_given = given);
        let cases = across(cases, MORE_MARKETS, |case, market| case.market = market);
        across(cases, TRUSTED, |case, asker| case.asker = asker)
    };
    let abroad = cases().filter(|case| !MARKETS.contains(&case.market));
    with_details(cases(), MORE_PHONES, &[SAME_DOMAIN, OTHER_DOMAIN, DISPLAY_TEXT]).chain(with_details(
        abroad,
        PHONES,
        &[SAME_DOMAIN],
    ))
}

/// Entering and editing without a number, without an address, without both.
fn missing_details() -> impl Iterator<Item = Case> {
    let cases = by_users(across(accounts(), MARKETS, |case, market| case.market = market));
    let cases = across(cases, WITH_DETAILS, |case, action| case.action = action);
    across(cases, &[(Some(AU_INTERNATIONAL), None), (None, Some(SAME_DOMAIN)), (None, None)], |case, (phone, email)| {
        case.phone = phone;
        case.email = email;
    })
}

/// A number and an address that come along with another action change nothing.
fn surplus_details() -> impl Iterator<Item = Case> {
    without_details(by_users(accounts()).chain(accounts())).map(|case| Case {
        phone: Some(AU_INTERNATIONAL),
        email: Some(SAME_DOMAIN),
        ..case
    })
}

// ---------------------------------------------------------------------------------------------------------------------
// Requests
// ---------------------------------------------------------------------------------------------------------------------

/// The body of the evaluation request.
pub fn request(case: &Case) -> Value {
    let mut context = Map::new();
    if let Some(phone) = case.phone {
        context.insert("phone".to_owned(), json!(phone.raw));
    }
    if let Some(email) = case.email {
        context.insert("email".to_owned(), json!(email.raw));
    }
    json!({
        "subject": subject(case),
        "action": { "name": action_name(case.action) },
        "resource": { "type": "Account", "id": "acme", "properties": account_properties(case) },
        "context": context,
    })
}

fn subject(case: &Case) -> Value {
    match case.asker {
        Asker::Portal => json!({ "type": "Portal", "id": "portal" }),
        Asker::User { role, same_account } => {
            let role = match role {
                Role::CompanyAdmin => "companyAdmin",
                Role::SalesTeam => "salesTeam",
                Role::AccountUser => "accountUser",
            };
            let account = if same_account { "acme" } else { "other" };
            json!({ "type": "User", "id": "someone", "properties": { "role": role, "account": account } })
        }
    }
}

fn account_properties(case: &Case) -> Value {
    let mut properties = json!({
        "kind": match case.kind {
            Kind::Direct => "direct",
            Kind::Partner => "partner",
            Kind::Managed => "managed",
        },
        "stage": match case.stage {
            Stage::New => "new",
            Stage::Existing => "existing",
        },
        "supportedBy": match case.supporter {
            Supporter::Megaport => "megaport",
            Supporter::Partner => "partner",
        },
        "provisionedServices": case.services,
        "signUpEmail": case.sign_up,
    });
    if let Some(market) = case.market {
        properties["billingMarket"] = json!(market);
    }
    if case.contact_given {
        properties["supportContact"] = json!({ "phone": "+61 2 9374 4000", "email": "desk@acme.example" });
    }
    properties
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::RequireSupportContact => "requireSupportContact",
        Action::DisplaySupportContact => "displaySupportContact",
        Action::ListSupportContact => "listSupportContact",
        Action::ViewSupportContact => "viewSupportContact",
        Action::EnterSupportContact => "enterSupportContact",
        Action::EditSupportContact => "editSupportContact",
        Action::DeleteSupportContact => "deleteSupportContact",
        Action::PlaceOrder => "placeOrder",
        Action::SaveConfiguration => "saveConfiguration",
        Action::ViewPricing => "viewPricing",
        Action::ViewMegaportContacts => "viewMegaportContacts",
    }
}
