namespace ShardProxy.TestKit.Tpch;

/// <summary>The words that the specification's columns are made of (clause 4.2.2.13), and enough others for comments.</summary>
internal static class TpchWords
{
    public static readonly string[] Types1 = ["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"];
    public static readonly string[] Types2 = ["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"];
    public static readonly string[] Types3 = ["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"];
    public static readonly string[] Containers1 = ["SM", "LG", "MED", "JUMBO", "WRAP"];
    public static readonly string[] Containers2 = ["CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"];
    public static readonly string[] Segments = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"];
    public static readonly string[] Priorities = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
    public static readonly string[] Instructions = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
    public static readonly string[] Modes = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];

    /// <summary>Words of part names; the queries ask for green and forest.</summary>
    public static readonly string[] Colors =
    [
        "almond", "azure", "beige", "black", "blue", "brown", "chocolate", "coral", "cream", "cyan", "dark", "drab", "forest", "frosted", "ghost", "gold",
        "green", "grey", "honey", "indian", "ivory", "khaki", "lace", "lemon", "light", "lime", "linen", "magenta", "maroon", "mint", "misty", "navy",
    ];

    /// <summary>Words of comments; the queries ask for special … requests.</summary>
    public static readonly string[] Comment =
    [
        "accounts", "asymptotes", "beans", "blithely", "bold", "carefully", "daring", "deposits", "even", "express", "final", "furiously", "ideas", "ironic",
        "packages", "pending", "pinto", "quickly", "regular", "requests", "sleep", "slyly", "special", "theodolites", "unusual", "wake",
    ];

    /// <summary>Name and region of the 25 nations, by their key.</summary>
    public static readonly (string Name, int Region)[] Nations =
    [
        ("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3), ("GERMANY", 3), ("INDIA", 2),
        ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4), ("KENYA", 0), ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2),
        ("ROMANIA", 3), ("SAUDI ARABIA", 4), ("VIETNAM", 2), ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1),
    ];

    public static readonly string[] Regions = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
}
