"""Small words of other languages: articles, sides, colours, sizes, and what pictures show."""

from __future__ import annotations

WORDS = {
    "German": (
        "der die das den dem des ein eine einen einem einer und mit auf unter neben hinter vor "
        "links rechts oben unten mitte rot rote roter rotes roten blau blaue blaues grün grüne "
        "grünes gelb gelbe schwarz schwarze schwarzer schwarzes weiß weiße weisse weißer linken "
        "rechten linke rechte linker im am zur zum vom nicht alle alles ohne außer ausser hund "
        "katze frau mann kind auto haus baum tasse hut mensch person gross große grosse großer "
        "großes klein kleine kleiner kleines hintergrund vordergrund ersten zweite zweiter"
    ),
    "French": (
        "le la les un une des du au aux et avec sur sous dans derrière devant gauche droite haut "
        "milieu rouge noir noire blanc blanche bleu bleue vert verte jaune petit petite grand "
        "grande pas sans sauf tout tous toutes chien chat femme homme fille garçon voiture maison "
        "arbre tasse chapeau est qui à côté arrière-plan personne chaise"
    ),
    "Spanish": (
        "el la los las un una unos unas del al y con sobre en bajo detrás delante izquierda "
        "izquierdo derecha derecho arriba abajo rojo roja negro negra blanco blanca azul verde "
        "amarillo amarilla grande pequeño pequeña sin menos todo todos todas perro gato mujer "
        "hombre niño niña coche casa árbol taza fondo que de excepto silla"
    ),
    "Italian": (
        "il lo la gli le un una uno del della dei delle con su sotto nel nella sinistra destra "
        "rosso rossa nero nera bianco bianca blu verde giallo gialla grande piccolo piccola a "
        "senza tranne tutti tutte tutto cane gatto donna uomo ragazza ragazzo macchina casa "
        "albero tazza cappello sfondo che di al alla sulla dietro davanti sedia"
    ),
    "Portuguese": (
        "o a os as um uma uns umas do da dos das e com em no na nos nas sobre esquerda direita "
        "vermelho vermelha preto preta branco branca azul verde amarelo amarela grande pequeno "
        "pequena sem exceto menos todo todos todas tudo cachorro cão gato mulher homem menino "
        "menina carro casa árvore xícara chapéu fundo imagem que de à ao atrás frente cadeira"
    ),
    "Dutch": (
        "de het een en met op onder naast achter voor links rechts boven rood rode blauw blauwe "
        "zwart zwarte wit witte groen groene geel gele groot grote klein kleine zonder behalve "
        "alle alles hond kat vrouw man jongen meisje auto huis boom beker kop stoel hoed "
        "achtergrond die dat van niet linker rechter"
    ),
    "Polish": (
        "czerwony czerwona czerwone czarny czarna czarne biały biała białe niebieski niebieska "
        "zielony zielona żółty żółta mały mała małe duży duża duże po na pod za przed obok z bez "
        "oprócz lewej prawej lewo prawo lewy prawy pies psa kot kota kobieta mężczyzna dziecko "
        "samochód dom drzewo filiżanka kubek krzesło tło tle wszystko wszystkie i w"
    ),
    "Swedish": (
        "en ett den det och med på under bakom framför till vänster höger röd röda rött svart "
        "svarta vit vita blå blåa grön gröna gul gula stor stora liten lilla små utan utom allt "
        "alla hund hunden katt katten kvinna kvinnan man mannen pojke flicka bil bilen hus huset "
        "träd trädet kopp koppen stol stolen bakgrunden som är"
    ),
    "Danish or Norwegian": (
        "en et den det og med på under bag foran bak til venstre højre høyre rød røde rødt sort "
        "sorte svart hvid hvide hvit hvite blå grøn grønne grønn gul gule stor store lille liten "
        "små uden uten undtagen alt alle hund hunden kat katten katt kvinde kvinden kvinne mand "
        "manden mann mannen dreng pige gutt jente bil bilen hus huset træ træet tre kop koppen "
        "stol stolen baggrunden bakgrunnen som er"
    ),
    "Finnish": (
        "punainen punaiset musta mustat valkoinen sininen vihreä keltainen iso suuri pieni "
        "vasemmalla oikealla vasen oikea ylhäällä alhaalla keskellä takana edessä ja kanssa ilman "
        "paitsi kaikki koira kissa nainen mies poika tyttö auto talo puu kuppi tuoli hattu tausta "
        "joka on"
    ),
    "Turkish": (
        "kırmızı siyah beyaz mavi yeşil sarı büyük küçük soldaki sağdaki sol sağ solda sağda üst "
        "alt orta ortadaki arkadaki öndeki ve ile hariç her tüm köpek kedi kadın adam erkek çocuk "
        "kız araba ev ağaç fincan bardak sandalye şapka arka plan bir"
    ),
    "Czech or Slovak": (
        "červený červená červené černý černá černé čierny čierna bílý bílá bílé biely modrý modrá "
        "zelený zelená žlutý žlutá malý malá malé velký velká velké veľký vlevo vpravo vľavo "
        "nahoře dole uprostřed a na pod za před vedle s bez kromě všechno všechny pes psa kočka "
        "mačka žena muž dítě chlapec dívka auto dům strom hrnek židle klobouk pozadí"
    ),
    "Hungarian": (
        "piros vörös fekete fehér kék zöld sárga nagy kis kicsi bal jobb oldali oldalon felső "
        "alsó középső mögött előtt alatt mellett és nélkül kivéve minden kutya macska nő férfi "
        "fiú lány gyerek autó ház fa csésze szék kalap háttér a az egy"
    ),
    "Romanian": (
        "roșu roșie rosie negru neagră neagra alb albă alba albastru albastră verde galben "
        "galbenă mare mic mică mica stânga stanga dreapta sus jos și cu pe sub lângă fără în din "
        "toate tot câine câinele caine pisica pisică femeie femeia bărbat bărbatul băiat fată "
        "mașina mașină masina casa casă copac ceașca scaun pălărie fundal"
    ),
    "Indonesian or Malay": (
        "merah hitam putih biru hijau kuning besar kecil kiri kanan atas bawah tengah belakang "
        "depan di sebelah dan dengan tanpa kecuali semua yang anjing kucing wanita pria perempuan "
        "lelaki laki-laki anak orang mobil kereta rumah pohon cangkir kursi topi latar"
    ),
    "Vietnamese": (
        "màu đỏ đen trắng xanh vàng to lớn nhỏ bên trái phải trên dưới giữa sau trước và với "
        "không trừ tất cả con chó mèo người phụ nữ đàn ông xe nhà cây cốc ghế mũ nền cái chiếc"
    ),
}

IN_NAMES = frozenset(
    "el la los las le les de di da del du des van von der das den con au il san a e o y en i "
    "donna".split()
)
"""Small words that foreign names have in English lines, too: "El Capitan", "Van Gogh"."""

LOANS = frozenset(
    "café cafés crème brûlée brulée piñata piñatas jalapeño jalapeños naïve déjà façade façades "
    "fiancé fiancée entrée entrées éclair éclairs soufflé purée sauté sautéed décor résumé cliché "
    "rosé protégé matinée toupée negligée señor señora señorita über doppelgänger smörgåsbord açaí "
    "crêpe crêpes pâté tête-à-tête papier-mâché château châteaux communiqué appliqué lamé gruyère "
    "consommé flambé frappé macramé vis-à-vis à la carte mode".split()
)
"""English words with foreign letters, and those of phrases that menus have."""

SCRIPTS = {
    "CYRILLIC": "Russian or another language in Cyrillic",
    "CJK": "Chinese or Japanese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "THAI": "Thai",
    "DEVANAGARI": "Hindi",
}
