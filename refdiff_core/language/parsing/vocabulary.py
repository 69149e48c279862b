"""Everyday words of the open classes: what photographs and paintings show, and how it looks.

A noun that is here needs no note; an adjective that is here never names the thing. Lists of plain
words, longer ones in place of a part-of-speech lexicon: what one would add is measured in
docs/method.md.
"""

from __future__ import annotations

PERSONS = frozenset(
    "person people man men woman women guy guys girl girls boy boys kid kids child children baby "
    "babies toddler infant lady ladies dude dudes bro gal chick fella fellow gentleman gentlemen "
    "mom mother dad father mum parent son daughter brother sister grandma grandpa grandmother "
    "grandfather bride groom bridesmaid groomsman couple player players batter catcher umpire ump "
    "pitcher referee ref goalie skier skiers surfer surfers snowboarder skater skateboarder rider "
    "biker cyclist chef cook waiter waitress bartender officer cop policeman police soldier "
    "student teacher worker driver passenger coach fan fans spectator everyone everybody crowd "
    "audience adult teen teenager human ppl peeps persn womn womam wman gurl grl fielder runner "
    "hitter singer dancer musician model tourist pedestrian customer businessman cowboy clown "
    "santa photographer vendor farmer fisherman jockey performer prsn preson "
    "baker barista butcher carpenter painter plumber mechanic engineer scientist doctor nurse "
    "dentist surgeon lawyer judge priest monk nun king queen prince princess knight warrior wizard "
    "pilot sailor pirate captain firefighter fireman guard athlete gymnast swimmer diver boxer "
    "wrestler golfer archer actor actress magician juggler hostess friend neighbor".split()
)
GARMENTS = frozenset(
    "shirt shirts tshirt tee t-shirt jacket coat coats sweater sweatshirt hoodie vest blouse "
    "dress skirt gown robe suit suits tux tuxedo uniform jersey outfit clothes clothing "
    "costume pants jeans shorts trousers slacks leggings khakis overalls sweats apron kimono "
    "sari bikini swimsuit trunks wetsuit pajamas pjs hat hats cap caps helmet helmets beanie "
    "hood visor headband bandana scarf veil crown wig glasses sunglasses shades goggles tie "
    "ties bowtie necktie necklace earrings bracelet watch gloves glove mitt mittens shoes shoe "
    "sneakers boots sandals socks belt backpack stripes polo tank tanktop cardigan blazer "
    "turtleneck hair beard mustache moustache goatee ponytail braid braids bangs dreads afro "
    "pigtails shrt shirtt top tattoo tattoos beards mustaches moustaches ponytails scarves "
    "watches necklaces bracelets sweaters jackets dresses skirts vests uniforms jerseys hoodies "
    "robes aprons earring costumes outfits blouses veils crowns wigs headbands".split()
)
THINGS = frozenset(
    "thing things object item stuff animal dog dogs puppy cat cats kitten horse horses pony "
    "cow cows sheep lamb goat bird birds duck goose chicken parrot bear bears teddy elephant "
    "elephants zebra zebras giraffe giraffes lion tiger monkey fish foal calf bull car cars "
    "truck trucks bus buses van suv taxi cab train trains plane planes airplane jet boat boats "
    "ship bike bikes bicycle bicycles motorcycle motorcycles motorbike scooter vehicle wagon "
    "cart trailer tractor wheel tire engine skateboard snowboard surfboard board boards ski "
    "skis kite frisbee ball bat racket racquet chair chairs couch sofa loveseat bench seat "
    "stool table desk counter bed beds pillow blanket towel shelf cabinet drawer oven stove "
    "fridge refrigerator microwave toaster sink toilet tub mirror window door wall floor "
    "ceiling lamp rug carpet curtain fence railing cloth tablecloth building house tower sign "
    "light pole post hydrant meter street road sidewalk grass field tree trees bush plant "
    "plants flower flowers vase pot rock water ocean beach sand snow sky ground tv television "
    "monitor laptop laptops computer keyboard mouse remote control phone phones cellphone cell "
    "book books clock scissors knife fork spoon cup cups mug glass bottle bottles wine beer "
    "drink can plate plates bowl bowls dish pan tray box boxes bag bags purse handbag suitcase "
    "suitcases luggage umbrella umbrellas basket bucket container paper toy toys doll pizza "
    "pizzas slice slices piece pieces cake cakes cupcake donut donuts doughnut sandwich "
    "sandwiches burger hotdog bun bread bagel toast croissant fries rice soup salad pasta meat "
    "egg food fruit fruits apple apples banana bananas oranges lemon broccoli carrot carrots "
    "veggies vegetable vegetables tomato onion cheese cream shape shapes circle circles square "
    "squares triangle triangles star stars ring rings cross crosses diamond heart hexagon "
    "pentagon rectangle oval dot sphere cube cone letter word tennis baseball soccer football "
    "basketball hockey fire stop parking teapot kettle statue hydrants seats pens pen pencil "
    "lid handle logo flag tent bridge stairs stand case orange lights traffic focus reflection "
    "shadow picture photo screen frame painting poster bunch group pair set number".split()
)
BODY_PARTS = frozenset(
    "hand hands arm arms leg legs foot feet head heads face faces finger fingers thumb "
    "knee knees elbow shoulder shoulders body tail ear ears nose mouth eye eyes neck butt "
    "paw paws wing wings trunk back chest stomach hoof horn horns beak freckles wrinkles "
    "makeup lipstick smile".split()
)
NOUNS = frozenset(
    # nature
    "mountain mountains hill hills valley cliff cave lake river pond sea wave waves island forest "
    "jungle woods desert meadow garden lawn park path trail cloud clouds sun moon rainbow rain "
    "mist fog smoke fire flame flames ice snowman leaf leaves branch branches twig root roots log "
    "stem petal petals rose roses tulip daisy lily sunflower orchid cactus palm pine oak fern moss "
    "ivy vine mushroom mushrooms stone stones rocks boulder pebble pebbles soil mud puddle dirt "
    "dust horizon sunset sunrise shore coast waterfall fountain stream creek canyon volcano "
    # animals
    "puppies kitten kittens rabbit bunny squirrel mouse rat hamster fox wolf deer moose reindeer "
    "camel donkey mule pig piglet hen rooster turkey peacock owl eagle hawk crow pigeon dove "
    "seagull swan penguin flamingo ostrich frog toad turtle tortoise lizard snake crocodile "
    "alligator dinosaur dragon unicorn shark whale dolphin seal octopus crab lobster jellyfish "
    "starfish shell snail butterfly bee wasp spider ant beetle dragonfly insect bug leopard "
    "cheetah panther jaguar gorilla ape panda koala kangaroo rhino hippo raccoon skunk hedgehog "
    "bat animals pet pets "
    # buildings and streets
    "roof roofs chimney balcony porch patio terrace deck garage barn shed hut cabin cottage castle "
    "palace church cathedral temple mosque skyscraper apartment hotel shop store market restaurant "
    "cafe school hospital office factory warehouse stadium station airport platform harbor harbour "
    "pier dock lighthouse windmill gate archway arch column columns pillar pillars steps staircase "
    "stairway ladder elevator hallway corridor tunnel alley avenue highway lane curb pavement "
    "crosswalk driveway doorway entrance exit facade brick bricks tile tiles gutter drain mailbox "
    "billboard banner awning kiosk booth stall statue sculpture monument grave tomb bricks "
    "buildings houses walls windows doors signs lamps poles streetlight lamppost wire wires cable "
    "cables railroad rail rails track tracks runway fences gates "
    # rooms and furniture
    "room kitchen bathroom bedroom furniture armchair recliner ottoman dresser nightstand wardrobe "
    "closet bookshelf bookcase shelves cupboard drawers mattress crib cradle hammock headboard "
    "cushion cushions pillowcase sheet sheets quilt duvet mat carpets drape drapes curtains blinds "
    "shutter shutters chandelier lantern candle candles candlestick lampshade bulb fireplace stove "
    "heater radiator fan vent faucet tap shower bathtub towels soap sponge bucket broom mop vacuum "
    "dishwasher washer dryer iron ironing tables chairs couches sofas desks stools benches mirrors "
    "frames portrait drawing canvas easel tapestry plaque trophy medal globe map calendar clocks "
    # kitchen and food
    "coffee tea milk juice soda water smoothie cocktail champagne whiskey latte cappuccino "
    "espresso glass glasses goblet jug pitcher teacup saucer teapot thermos jar jars can cans lid "
    "lids bottle cork straw napkin napkins tablecloth placemat coaster cutlery silverware "
    "chopsticks spatula ladle whisk grater peeler pan pans pot pots wok grill barbecue blender "
    "mixer kettle plates dishes forks knives spoons bread loaf baguette roll rolls toast pancake "
    "pancakes waffle waffles muffin muffins cookie cookies biscuit brownie pie tart pastry pretzel "
    "candy chocolate lollipop icecream popcorn chips cracker crackers noodles spaghetti sushi taco "
    "burrito steak bacon sausage ham chicken meatball shrimp salmon omelette eggs yolk butter jam "
    "honey sugar salt pepper sauce ketchup mustard mayo gravy dressing syrup cereal oatmeal beans "
    "peas corn lettuce cabbage spinach cucumber cucumbers celery potato potatoes tomatoes onions "
    "garlic ginger pumpkin pumpkins squash eggplant avocado olive olives pickle pickles peppers "
    "radish beet strawberry strawberries blueberry blueberries raspberry raspberries cherry "
    "cherries grape grapes pear pears peach peaches plum mango pineapple watermelon melon coconut "
    "kiwi lime limes lemons nut nuts almond walnut peanut spice spices herb herbs frosting cream "
    "cupcakes sandwiches fries "
    # people and bodies
    "men women boys girls ladies gentlemen couple couples twins crowd family group friend friends "
    "neighbor baker barista butcher carpenter painter plumber mechanic engineer scientist doctor "
    "nurse dentist surgeon patient lawyer judge priest monk nun pope king queen prince princess "
    "knight warrior wizard witch fairy angel devil ghost zombie vampire robot alien astronaut "
    "pilot sailor pirate captain firefighter fireman guard soldier soldiers athlete gymnast "
    "swimmer diver boxer wrestler golfer archer cyclists runners dancers musicians guitarist "
    "drummer violinist pianist actor actress magician juggler tourists commuter shopper customer "
    "vendor vendors bartender hostess host guest guests groomsmen bridesmaids toddlers infants "
    "teens figure figures silhouette hero heroine villain ninja samurai elf dwarf mermaid skeleton "
    "skull bone bones forehead cheek cheeks chin lip lips tooth teeth tongue eyebrow eyebrows "
    "eyelash eyelashes eyelid nostril jaw throat shoulders chest breast waist hip hips thigh "
    "thighs calf shin ankle ankles toe toes heel heels palm wrist wrists elbows fingernail nail "
    "nails skin scar freckles wrinkles fur feather feathers wing claw claws mane whiskers snout "
    "muzzle hooves antler antlers tusk tusks fin fins scale scales "
    # clothes
    "sleeve sleeves collar cuff cuffs button buttons zipper pocket pockets hem lace ribbon bow "
    "strap straps buckle shoelace shoelaces sole heel brim lapel veil train bracelet bracelets "
    "earring ring rings brooch pendant locket chain chains wallet clutch fabric cloth silk velvet "
    "denim wool cotton linen mask masks goggles earmuffs headphones headset microphone mic poncho "
    "cloak cape armor armour shield toga tunic corset stockings tights slippers flip-flops heels "
    "loafers "
    # tools, machines, vehicles
    "hammer screwdriver wrench pliers saw drill axe shovel rake hoe wheelbarrow rope hook chain "
    "toolbox nail screw bolt gear lever switch button plug socket outlet battery charger cord "
    "printer scanner camera tripod lens projector speaker speakers radio stereo console controller "
    "joystick tablet ipad iphone smartphone telephone typewriter calculator keypad monitors "
    "screens laptop mousepad usb robot drone rocket spaceship satellite helicopter jet glider "
    "balloon balloons parachute submarine canoe kayak raft sailboat yacht ferry cruise gondola oar "
    "paddle anchor sail sails mast bumper windshield windscreen headlight headlights taillight "
    "hood trunk fender tire tires wheels pedal pedals handlebar handlebars saddle stirrup reins "
    "bridle carriage chariot sled sleigh stroller pram wheelchair cart forklift crane bulldozer "
    "excavator ambulance firetruck minivan pickup limousine convertible jeep locomotive tram "
    "trolley subway caravan camper rv trucks cars vehicles planes boats ships engines "
    # things
    "bunk toothbrush toothpick lap icing layer layers pile stack bite air game cover kitty "
    "doggy cub sprinkles floret urinal rider mound dip salsa pepperoni oj mohawk heel "
    "flight backpack rack edge top bottom tip end base peak face arm leg screen hat tail "
    "ear nose eye mouth wheeler ball balls bell bells drum drums guitar violin cello piano "
    "trumpet saxophone flute harp accordion banjo book magazine newspaper notebook "
    "envelope letter letters stamp card cards ticket poster painting paintings pencil "
    "pencils pen crayon crayons marker brush paintbrush eraser ruler scissors glue tape "
    "stapler paperclip folder binder clipboard chalk chalkboard blackboard whiteboard coin "
    "coins money bill dollar key keys lock padlock safe chest barrel crate crates basket "
    "baskets bin trash garbage trashcan dumpster hose sprinkler fishnet net goal hoop rim "
    "dartboard dart bowling pin pins chess pawn rook bishop die dice puzzle lego block "
    "blocks marble marbles yo-yo swing slide seesaw trampoline pool ballpark field court "
    "racquets bats gloves helmets puck club clubs golf ski pole poles sunscreen parasol "
    "tents campfire lighter match matches cigarette cigar pipe ashtray gun rifle pistol "
    "sword swords dagger spear bow arrow arrows wand staff crown tiara scepter gem gems "
    "jewel jewels pearl pearls gold diamond diamonds crystal crystals bubble bubbles "
    "sticker label tag barcode watermark logo text caption number numbers letter symbol "
    "icon disc disk cylinder pyramid prism polygon shapes squares circles hexagons lines "
    "line dots grid pattern hole holes crack cracks gap spot spots stain stripe stripes "
    "rust shade shadows reflections highlight glow light beam ray rays spark sparks steam "
    "splash droplets drop drops object objects items stuff background foreground area "
    "front back lane power subject".split()
)

ADJECTIVES = frozenset(
    "tied vintage antique ancient modern futuristic retro classic classical gothic baroque "
    "rustic rusty weathered worn shabby ragged torn tattered cracked chipped dented "
    "scratched dusty mossy muddy sandy rocky grassy leafy snowy icy frosty rainy cloudy "
    "foggy misty sunny stormy windy smoky steamy greasy oily sticky slimy wet damp soggy "
    "dry crispy crunchy creamy juicy tasty delicious sweet sour bitter spicy salty ripe "
    "unripe rotten mouldy moldy stale frozen boiled fried grilled roasted baked toasted "
    "melted chopped diced peeled glazed frosted iced powdered elegant graceful fancy "
    "ornate decorative luxurious lavish expensive cheap plain simple modest cozy cosy "
    "comfortable comfy soft hard rough smooth bumpy lumpy spiky spiny sharp blunt dull "
    "glossy matte shiny sparkly glittery glittering gleaming glowing luminous neon "
    "fluorescent bright vivid pastel faint pale dim dark murky transparent translucent "
    "opaque see-through clear crystal glassy metallic chrome copper bronze brass silvery "
    "golden wooden stone marble concrete ceramic porcelain rubber velvet silk silky satin "
    "woollen knitted crocheted quilted embroidered denim linen suede leathery crimson "
    "scarlet ruby vermilion rosy peach coral salmon amber mustard ochre lemon olive "
    "emerald jade mint aqua azure indigo mauve lilac plum fuchsia ivory ebony charcoal "
    "sepia rust copper bluish greyish grayish purplish orangish monochrome multicolour "
    "multicoloured rainbow tinted dyed painted unpainted decorated patterned tiled paved "
    "gravel massive enormous gigantic colossal immense vast great grand petite miniature "
    "microscopic compact bulky stout sturdy frail fragile delicate slender slim lean lanky "
    "skinny thin chubby plump obese muscular athletic fit strong weak pregnant sleepy "
    "drowsy tired exhausted awake excited cheerful joyful merry gloomy grumpy angry "
    "furious scared frightened nervous anxious worried surprised shocked confused bored "
    "proud shy brave calm peaceful serious silly funny weird strange odd unusual "
    "mysterious magical mythical fantastic fierce wild tame playful lazy busy crowded "
    "deserted abandoned lone single twin identical similar matching mismatched round oval "
    "square rectangular triangular conical cylindrical spherical hexagonal octagonal "
    "pointed pointy curly wavy straight crooked bent twisted tangled spiral zigzag "
    "diagonal horizontal vertical parallel loose tight baggy fitted oversized undersized "
    "sleeveless hooded collared strapless furry fluffy woolly hairy feathery scaly shaggy "
    "bushy leafless bare barren lush dense sparse thick hollow solid liquid empty stuffed "
    "inflated deflated inflatable foldable portable electric electronic digital analog "
    "mechanical automatic manual military royal holy religious medieval victorian roman "
    "greek egyptian chinese japanese korean italian french german spanish mexican british "
    "european western oriental tropical exotic native foreign local rural urban industrial "
    "commercial public private main central outer inner upper nearby distant remote sunlit "
    "backlit shaded shadowy illuminated unlit reflective wrinkled folded creased pleated "
    "ruffled frilly lacy fringed studded beaded jeweled checkered polka-dot plaid tartan "
    "paisley camouflage zebra-print leopard-print floral flowery handmade homemade custom "
    "generic famous beautiful gorgeous stunning handsome attractive pretty adorable scary "
    "creepy spooky evil friendly gentle dangerous safe secret hidden visible invisible "
    "naked clothed dressed masked bearded mustached freckled tanned tattooed wealthy poor "
    "homeless injured wounded sick healthy dead alive living newborn adult teenage "
    "middle-aged aged grown".split()
)

IRREGULAR_PLURALS = {
    **{f"{start}men": f"{start}man" for start in "wo police fire business fisher snow".split()},
    **{"men": "man", "people": "person", "ppl": "person", "peeps": "person", "children": "child"},
    **{"feet": "foot", "teeth": "tooth", "mice": "mouse", "geese": "goose", "oxen": "ox"},
    **{"wolves": "wolf", "knives": "knife", "leaves": "leaf", "loaves": "loaf"},
    **{"shelves": "shelf", "halves": "half", "calves": "calf", "elves": "elf"},
    **{"gentlemen": "gentleman", "groomsmen": "groomsman", "cacti": "cactus", "dice": "die"},
    **{"guys": "guy", "kids": "kid", "everyone": "person", "everybody": "person"},
}
"""Plurals that no rule makes, and what a model is told of one of them."""

SINGULARS = frozenset(
    # one thing for all their s
    "pants jeans shorts trousers slacks leggings overalls sweats trunks tights pajamas pjs "
    "glasses sunglasses goggles shades spectacles binoculars scissors pliers tweezers headphones "
    "earphones clothes stairs steps series species canvas tennis grass gas lens christmas "
    "chess iris cactus bus octopus hibiscus campus compass mattress dress glass moss atlas bias "
    "gallows news mathematics athletics gymnastics santas texas swiss earmuffs dreads oars "
    "is was has its his this yes plus less across always perhaps sometimes us bangs "
    "outdoors indoors downstairs upstairs overseas underpants stuffs thanks sheers".split()
)

NOUNS_IN_ING = frozenset(
    "thing ring string king wing ceiling building painting railing awning icing pudding "
    "dressing wedding morning evening clothing spring earring swing sling stuffing frosting "
    "filling something anything bling sibling duckling topping landing living dining parking "
    "crossing lightning being".split()
)
NO_ADVERBS = frozenset(
    "family butterfly assembly monopoly dragonfly firefly belly jelly dolly".split()
)
NOUNS_IN_ED = frozenset(
    "seaweed bread breed steed moped bobsled forest chest guest priest harvest radish".split()
)

CONTAINERS = frozenset(
    "bowl cup glass slice piece bottle plate vase box bag mug jar can carton pot basket tray "
    "bucket loaf bunch bouquet pile stack row crowd flock herd picture photo painting "
    "statue".split()
)
"""Nouns that "of" says the contents of: of "the glass of the wine" no wine owns a glass."""

HOLDERS = CONTAINERS | frozenset(
    "shaker shakers holder holders container containers dispenser dispensers bottles bowls plates "
    "jars cups boxes rack racks stand stands sandwich sandwiches salad chips pie cake".split()
)
"""Nouns after what they hold or are made of, which may be two: "salt and pepper shakers"."""

SUPPORTS = frozenset(
    "shelf table desk counter rack drawer tray plate bench floor board wall screen panel couch "
    "bed branch level tier step".split()
)
"""Nouns that say where to look, before a comma: "bottom shelf, third bottle from the left"."""

VERBS = frozenset(
    "carries carry drives feeds pets chases follows pulls lifts opens closes enters wants needs "
    "has owns cooks washes writes crosses kicks jumps touches watches pours cuts climbs sells buys "
    "reach grab feed touch hit hold "
    "sits stands eats rides walks runs plays look looks lays lies sleeps drinks throws catches "
    "swings jumps faces talks smiles uses sit stand ride walk eat sleep made held worn shown seen "
    "throw catch kick bitten fallen led driven written drawn says read worn hung torn "
    "taken lay goes go pulls pushes ridden eaten leans hits reads hangs hung".split()
)
"""Verb forms other than those in -ing."""
