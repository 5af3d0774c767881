"""What the nouns of picture captions are: a list of them by class, in the singular.

The list holds the nouns of everyday pictures (those of COCO's captions above all) and every noun
of the simulator. A noun that is not in it has the class `OTHER`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OTHER: Final = "other"
# The order is that of legends; `PEOPLE` are the classes of which a person share is made.
_NOUNS: Final = {
    "person": """
        adult artist astronaut athlete audience baby ballplayer band baseball_player
        basketball_player batter biker boarder boy bride cameraman catcher chef child chef clown
        coach cook couple cowboy crew crowd cyclist dad dancer daughter doctor driver family farmer
        father fan female fisherman friend gentleman girl girlfriend goalie grandmother groom group
        guy gymnast hiker human husband individual infant jockey kid lady little_league male man
        model mom mother motorcyclist musician officer parent passenger pedestrian people person
        photographer pilot pitcher player police policeman referee rider runner sailor
        salesman shepherd shopper singer skateboarder skater skier snowboarder soldier son spectator
        student surfer swimmer teacher team teenager tennis_player toddler tourist traveler trainer
        umpire vendor waiter waitress walker wife woman worker youth""",
    "face": "beard cheek chin eye face forehead lip mouth mustache nose portrait smile",
    "body": """
        ankle arm back_of_head body chest ear elbow finger foot hair hand head heel knee leg neck
        palm shoulder skin thumb toe tongue tooth torso waist wrist""",
    "animal": """
        animal ant antelope ape bear bee beetle bird buffalo bull bunny butterfly calf camel cat
        cattle cheetah chick chicken cow cub deer dog dolphin donkey dragonfly duck duckling eagle
        elephant elk fawn fish flamingo flock fox frog giraffe goat goldfish goose gorilla hamster
        hawk hen herd horse insect jellyfish kangaroo kitten kitty koala lamb leopard lion lizard
        llama monkey moose mouse mule octopus ostrich otter owl ox panda parrot peacock pelican
        penguin pet pig pigeon polar_bear pony pup puppy rabbit raccoon ram rat rhino rhinoceros
        rooster seagull seal shark sheep snail snake spider squirrel stork swan tiger turkey turtle
        whale wolf zebra""",
    "food": """
        apple appetizer avocado bacon bagel banana bean beef beer berry beverage blueberry bread
        breakfast broccoli brunch bun burger burrito butter cabbage cake candy carrot cauliflower
        celery cereal champagne cheese cheesecake cherry chip chocolate cocktail coffee coke cookie
        corn crab cracker cream croissant cucumber cup_of_coffee cupcake curry dessert dinner dish
        donut doughnut dough dressing drink egg entree food french_fries fried_egg fries frosting
        fruit garlic grape gravy ham hamburger herb hot_dog hotdog ice_cream icing jam juice kale
        ketchup lasagna lemon lettuce lime lunch mango mayo meal meat milk muffin mushroom mustard
        noodle nut oatmeal olive omelet omelette onion orange pancake pasta pastry peach peanut
        pear pea pepper pepperoni pickle pie pineapple pizza plum pork potato pumpkin radish rice
        roll salad salmon salsa sandwich sauce sausage seafood shrimp snack soda soup spaghetti
        spinach squash steak stew strawberry sugar sushi syrup taco tea toast tofu tomato topping
        tuna vegetable veggie waffle watermelon wine yogurt zucchini""",
    "vehicle": """
        aeroplane airliner airplane airline ambulance automobile barge bicycle bike blimp boat bus
        cab canoe car caravan carriage cart chopper convertible cruise_ship ferry fighter_jet
        fire_engine fire_truck firetruck forklift freight_train helicopter jeep jet jetliner kayak
        limousine locomotive lorry minivan moped motor_bike motorbike motorboat motorcycle plane
        pickup pickup_truck police_car raft rocket sailboat scooter sedan ship stroller subway suv
        tank taxi tractor trailer train tram tramway transit tricycle trolley truck tugboat van
        vehicle wagon yacht""",
    "place": """
        airport aisle alley apartment area arena attic avenue backyard bakery balcony bank bar barn
        basement bathroom bay beach bedroom bridge building cabin cafe campsite canal canyon castle
        cathedral cave church city cityscape classroom clearing cliff coast corner corridor
        countryside courtyard creek crossing crosswalk deck den desert dining_room dock doorway
        downtown driveway enclosure farm field floor forest garage garden gas_station grassland
        ground hallway harbor highway hill hillside home horizon hotel hotel_room house indoors
        intersection interior island jungle kitchen lake landscape lawn library living_room lobby
        lot market marina meadow mountain mountainside museum neighborhood ocean office park
        parking_lot pasture path patio pavement pen pier plain platform playground plaza pond pool
        porch prairie railroad restaurant restroom ridge river road roadside roof room rooftop
        runway school sea seaside shop shore shoreline sidewalk skyline skatepark skate_park
        ski_slope slope square stadium stage staircase station store stream street studio suburb
        swimming_pool tarmac temple tower town track trail tunnel valley village wall warehouse
        waterfall waterfront woods yard zoo""",
    "word": """
        alphabet banner billboard book book_cover caption headline letter letterhead license_plate
        logo magazine newspaper note number poster print sign signboard stop_sign street_sign text
        title word writing""",
    "nature": """
        air beam branch bush cloud dirt dust fire flower fog foliage grass ice leaf light lightning
        log moon moss mud night petal plant rain rainbow rock rose sand sky smoke snow star stem
        stone storm sun sunlight sunset sunrise tree trunk vine water wave weed wind""",
    "sport": """
        ball base baseball baseball_bat baseball_game basketball bat bench_press court football
        frisbee game glove goal golf helmet hockey home_plate jump kite mitt net paddle pitch
        polo race racket racquet rink skate skateboard skateboarding ski ski_lift skiing snowboard
        snowboarding soccer soccer_ball softball sport surfboard surfing swing tennis tennis_ball
        tennis_court tennis_match ramp board tennis_racket tennis_racquet trick trophy volleyball
        wakeboard wetsuit yoga""",
    "clothing": """
        apron backpack bag belt boot bow bracelet cap cloak clothes clothing coat collar costume
        dress earring eyeglasses flip_flop gear goggles gown handbag hat hoodie jacket jeans jersey
        jewelry luggage mask necklace necktie outfit pajamas pants purse ring robe sandal scarf
        shawl shirt shoe shorts skirt sneaker sock suit suitcase sunglasses sweater sweatshirt
        swimsuit t-shirt tee_shirt tie tuxedo umbrella uniform veil vest wig""",
    "furniture": """
        armchair bath bathtub bed bench blanket blind bookcase bookshelf cabinet candle carpet chair
        chandelier clock closet couch counter countertop crib cupboard curtain cushion desk
        dining_table door drawer dresser fan_blade faucet fireplace frame furniture headboard
        lamp lampshade loveseat mantle mattress mirror nightstand ottoman picture_frame pillow quilt
        rug seat shade sheet shelf shower shower_curtain sink sofa stairs stool table tablecloth
        television_stand tile toilet toilet_seat towel tub urinal vanity vase window""",
    "object": """
        antenna appliance baggage balloon barrel basket bin blender bottle bowl box broom brush
        bucket bulb cage calculator camera can candlestick cell_phone cellphone chain chopsticks
        cigarette computer computer_monitor console container controller cord crate cup curb
        cutting_board device dishwasher doll dryer dvd engine equipment fence fire_hydrant flag
        flashlight fork freezer fridge fruit_stand game_controller gate glass grill guitar gun
        hair_dryer hammer headphones hose hydrant instrument iphone iron jar kettle key keyboard
        kitchen_appliance knife ladder laptop laptop_computer lid machine map medicine meter
        microphone microwave monitor mousepad mug napkin needle oven pan paper paper_towel
        parking_meter pencil phone piano picture_book pipe pitcher_of_water placemat plate pole pot
        printer projector radio railing refrigerator remote remote_control rope sail scissors screen
        screwdriver silverware skillet soap speaker sponge spoon spatula statue sculpture
        stick stove straw stuffed_animal stuffed_bear tablet tap teapot teddy_bear telephone
        television thermometer tissue toaster tool toothbrush toothpaste toy traffic_light
        traffic_signal trash_can tray tripod trash tv utensil vacuum video_game wallet watch
        wheel wheelchair whisk wii wii_remote wine_glass wire wood""",
}  # fmt: skip
CLASSES: Final = (*_NOUNS, OTHER)
PEOPLE: Final = frozenset(("person", "face", "body"))

# Words of a caption that are about the picture and not about what it shows.
_ABOUT: Final = """
    angle background bit bottom bunch center centre close-up closeup day edge end foreground front
    image kind left lot middle one other pair part photo photograph piece picture place right row
    scene set shot side something thing time top top_left top_right type upper variety view way
    """
ABOUT: Final = frozenset(_ABOUT.split())
IRREGULAR: Final = MappingProxyType({
    "men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "geese": "goose", "oxen": "ox", "leaves": "leaf", "knives": "knife",
    "loaves": "loaf", "wolves": "wolf", "calves": "calf", "shelves": "shelf", "wives": "wife",
    "scarves": "scarf", "halves": "half", "lives": "life", "buses": "bus", "gentlemen": "gentleman",
    "policemen": "policeman", "fishermen": "fisherman", "cookies": "cookie", "movies": "movie",
    "ties": "tie", "pies": "pie", "lies": "lie", "shoes": "shoe", "toes": "toe", "canoes": "canoe",
    "horses": "horse", "houses": "house", "noses": "nose", "vases": "vase", "roses": "rose",
    "hoses": "hose", "zombies": "zombie", "hoodies": "hoodie", "veggies": "veggie",
    "berries": "berry", "cherries": "cherry", "selfies": "selfie", "calories": "calorie",
})  # fmt: skip


@functools.cache
def lexicon() -> Mapping[str, str]:
    """Noun, in the singular and with spaces, to its class."""
    found: dict[str, str] = {}
    for name, nouns in _NOUNS.items():
        for noun in nouns.split():
            found.setdefault(noun.replace("_", " "), name)
    return MappingProxyType(found)


@functools.cache
def longest() -> int:
    """Words of the longest noun."""
    return max(noun.count(" ") + 1 for noun in lexicon())


@functools.cache
def singular(word: str) -> str:
    """The singular of a noun in lower case; what is no plural stays."""
    known = lexicon()
    if word in known or word in ABOUT:  # glasses of ``fries``, ``scissors``
        return word
    if word in IRREGULAR:
        return IRREGULAR[word]
    for end, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(end) and word.removesuffix(end) + instead in known:
            return word.removesuffix(end) + instead
    return _by_rule(word)


def _by_rule(word: str) -> str:
    """The singular of a word that the list does not have."""
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zzes", "tzes", "oes")):
        return word[:-2]
    return word[:-1]
