namespace ShardProxy.Model.Routing;

/// <summary>One of the user's types on one node, as <see cref="Sql"/> reads it.</summary>
/// <param name="Oid">Its OID there.</param>
/// <param name="Form">How its values look.</param>
/// <param name="Element">OID there of the type that a range is over; 0 for other forms.</param>
/// <param name="Relation">OID there of the relation whose row type it is; 0 for none.</param>
public readonly record struct UserType(uint Oid, TypeForm Form, uint Element, uint Relation)
{
    /// <summary>
    /// All of a node, one a row: see <see cref="Read"/>. An array type is known by its element, for its own name depends on which names were free. Temporary relations and the
    /// project's own are left out: each is on one node.
    /// </summary>
    public const string Sql = """
        SELECT t.oid::int8, pg_catalog.format('%I.%I', en.nspname, e.typname) || CASE WHEN e.oid = t.oid THEN '' ELSE '[]' END,
            CASE WHEN e.oid = t.oid THEN t.typtype::text ELSE 'a' END, t.typrelid::int8, t.typbasetype::int8,
            coalesce((SELECT rngsubtype FROM pg_catalog.pg_range WHERE t.oid IN (rngtypid, rngmultitypid)), 0)::int8
        FROM pg_catalog.pg_type t
        JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN t.typelem <> 0 AND t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc THEN t.typelem ELSE t.oid END
        JOIN pg_catalog.pg_namespace en ON en.oid = e.typnamespace
        WHERE t.oid >= 16384 AND en.nspname NOT IN ('pg_toast', 'shardproxy', 'shardproxy_catalog') AND en.nspname NOT LIKE 'pg\_temp\_%' AND en.nspname NOT LIKE 'pg\_toast\_temp\_%'
        """;

    /// <summary>The types by their names, from the rows of <see cref="Sql"/>.</summary>
    public static IReadOnlyDictionary<string, UserType> Read(IReadOnlyCollection<UserTypeRow> rows)
    {
        var byOid = rows.ToDictionary(r => r.Oid);
        return rows.ToDictionary(r => r.Name, r => new UserType(r.Oid, FormOf(r.Oid), byOid.GetValueOrDefault(Undomained(r.Oid)).Element, r.Relation), StringComparer.Ordinal);

        TypeForm FormOf(uint oid) => byOid.GetValueOrDefault(Undomained(oid)).Kind switch
        {
            'a' => TypeForm.Array,
            'c' => TypeForm.Composite,
            'r' => TypeForm.Range,
            'm' => TypeForm.Multirange,
            _ => TypeForm.Plain,
        };

        // PostgreSQL's own types are not among the rows: what is over one of them is plain, or its OIDs are the same everywhere.
        uint Undomained(uint oid) => byOid.TryGetValue(oid, out var type) && type.Kind == 'd' ? Undomained(type.Base) : oid;
    }

    /// <summary>How a node numbers the types of the home node; null when it has no others, under the same numbers.</summary>
    public static NodeTypes? Compare(int nodeId, IReadOnlyDictionary<string, UserType> home, IReadOnlyDictionary<string, UserType> node)
    {
        var isSame = true;
        var twins = new List<TypeTwin>();
        foreach (var (name, there) in node)
        {
            if (!home.TryGetValue(name, out var here) || here.Form != there.Form)
            {
                isSame = false;
                continue;
            }

            isSame &= here.Oid == there.Oid && here.Relation == there.Relation;
            twins.Add(new TypeTwin(here.Form, here.Oid, there.Oid, here.Element));
            if (here.Relation != 0 && there.Relation != 0)
            {
                twins.Add(new TypeTwin(TypeForm.Relation, here.Relation, there.Relation, 0));
            }
        }

        return isSame ? null : new NodeTypes(nodeId, [.. twins.OrderBy(t => t.Form).ThenBy(t => t.Home)]);
    }
}

/// <summary>A row of <see cref="UserType.Sql"/>.</summary>
/// <param name="Oid">The type's OID.</param>
/// <param name="Name">Schema and name, of an array its element's with brackets.</param>
/// <param name="Kind">As <c>pg_type.typtype</c>, <c>a</c> for arrays.</param>
/// <param name="Relation">The relation whose row type it is, or 0.</param>
/// <param name="Base">What a domain is over, or 0.</param>
/// <param name="Element">What a range is over, or 0.</param>
public readonly record struct UserTypeRow(uint Oid, string Name, char Kind, uint Relation, uint Base, uint Element);
