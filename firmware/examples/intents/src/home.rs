//! Devices and places of a home, for lists that Home Assistant fills at run time.

const AREAS: &str = "living room|kitchen|bedroom|bathroom|hallway|office|garage|guest room|dining room|attic|basement|laundry room|nursery|study|porch|garden|patio|pantry|den|main bedroom|kids room|workshop|sun room|cellar|balcony";
const FLOORS: &str = "ground|first|second|third|upper|lower|top|upstairs|downstairs|main";

/// Names of devices by domain.
const NAMES: &[(&str, &str)] = &[
    ("light", "desk lamp|reading light|floor lamp|bedside lamp|ceiling light|porch light|night light|table lamp|chandelier|kitchen spots|tree lights|mirror light"),
    ("switch", "coffee maker|kettle|radio|heater plug|water pump|christmas tree|toaster|printer|aquarium|sprinkler"),
    ("fan", "ceiling fan|bedroom fan|tower fan|desk fan|exhaust fan|attic fan"),
    ("climate", "thermostat|heat pump|air conditioner|hall radiator|floor heating|bedroom ac"),
    ("cover", "left blind|kitchen shutter|garage door|side gate|bay window|patio awning|bedroom curtain|roof window|front shade"),
    ("valve", "main valve|garden valve|boiler valve|water valve|lawn valve"),
    ("lock", "front door|back door|side door|garden gate|cellar door|shed lock"),
    ("media_player", "tv|living room speaker|kitchen radio|stereo|sound bar|bedroom tv|record player|projector"),
    ("vacuum", "robot vacuum|dusty|upstairs vacuum|robbie|sweeper|floor robot"),
    ("lawn_mower", "lawn mower|mower|back yard mower|grass robot|mowy|garden mower"),
    ("todo", "work|hardware|gift|packing|weekend|chores|holiday|repairs"),
    ("person", "anna|ben|clara|david|emma|felix|grace|henry"),
    ("scene", "movie night|good morning|romantic dinner|bright day|party time|bed time"),
    ("script", "night routine|welcome home|leaving home|feed the fish|wake up call|lock up"),
    ("weather", "paris|london|oslo|madrid|home town|lake house"),
    ("timer", "pizza|laundry|tea|nap|oven|homework"),
    ("sensor", "outdoor sensor|freezer sensor|solar meter|rain gauge|power meter|fridge sensor|air monitor|water meter"),
    ("binary_sensor", "hall sensor|freezer|front motion sensor|smoke alarm|leak sensor|phone|washing machine|mail box"),
];

/// Words for a wildcard.
const WILDCARDS: &[(&str, &str)] = &[
    ("message", "dinner is ready|the bus is here|it is time to go|lunch in ten minutes|come downstairs|the guests arrived|wash your hands|good night everyone"),
    ("search_query", "abbey road|jazz for dinner|old piano songs|the planets|morning news|rain sounds|classic rock|summer hits|the blue river|queen"),
    ("zone", "work|school|the gym|the office|the park|the station|grandma's|the shop"),
    ("timer_name", "pizza|laundry|tea|nap|oven|homework|pasta|egg|bread|workout|cake|rice"),
    ("timer_command", "turn off the lights|close the blinds|turn on the fan|open the garage door|pause the music|lock the door|start the vacuum|turn on the heater"),
    ("shopping_list_item", "milk|bread|apples|olive oil|eggs|coffee|rice|tomatoes|cheese|paper towels|soap|flour"),
    ("todo_list_item", "call the bank|water the plants|book a table|buy stamps|fix the bike|clean the oven|pay the rent|wash the car|send the letter|mow the lawn"),
];

const OTHER: &str = "something|the red one|number three|all of it|that thing|a new one";

fn of(table: &[(&'static str, &'static str)], key: &str) -> Option<&'static str> {
    let row = table.iter().find(|(name, _)| *name == key);
    row.map(|(_, values)| *values)
}

fn split(values: &str) -> Vec<String> {
    values.split('|').map(str::to_owned).collect()
}

/// Words for a wildcard list.
pub fn wildcard(list: &str) -> Vec<String> {
    split(of(WILDCARDS, list).unwrap_or(OTHER))
}

/// Values of a list that the templates leave to the home, such as `area`;
/// devices of `domains` for `name`, of all where none of them is known.
pub fn list(name: &str, domains: &[&str]) -> Option<Vec<String>> {
    match name {
        "area" => Some(split(AREAS)),
        "floor" => Some(split(FLOORS)),
        "name" => Some(devices(domains)),
        _ => None,
    }
}

fn devices(domains: &[&str]) -> Vec<String> {
    let known = domains.iter().filter_map(|domain| of(NAMES, domain));
    let fitting: Vec<_> = known.flat_map(split).collect();
    if fitting.is_empty() {
        let devices = NAMES.iter().filter(|(domain, _)| !is_no_device(domain));
        return devices.flat_map(|(_, values)| split(values)).collect();
    }
    fitting
}

fn is_no_device(domain: &str) -> bool {
    ["todo", "person", "weather", "timer"].contains(&domain)
}
