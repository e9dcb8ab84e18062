using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Types;

/// <summary>How the nodes number types that an open transaction has made: nobody else can see those yet.</summary>
internal static class BlockTypes
{
    /// <summary>Asks the transaction's servers, after DDL in it. What cannot be read stays unknown, and is refused where it is met.</summary>
    public static async ValueTask LearnAsync(Session session)
    {
        var home = session.HomeNode.Id;
        var participants = session.Transaction.Participants;
        if (participants.Count < 2 || session.Transaction.Find(home) is not { } homeServer)
        {
            return;
        }

        try
        {
            if (await ReadAsync(homeServer).ConfigureAwait(false) is not { } here)
            {
                return;
            }

            foreach (var server in participants.Where(p => p.Node.Id != home).ToArray())
            {
                if (await ReadAsync(server).ConfigureAwait(false) is { } there)
                {
                    server.TypesInBlock = UserType.Compare(server.Node.Id, here, there) is { } types ? TypeTable.Of(types) : null;
                }
            }
        }
        catch (EndOfStreamException)
        {
            // The next statement that needs the server finds it lost.
        }
    }

    private static async ValueTask<IReadOnlyDictionary<string, UserType>?> ReadAsync(ServerConnection server)
    {
        if (server.Status != (byte)'T')
        {
            return null;
        }

        var result = await SideDialog.RunAsync(server, UserType.Sql).ConfigureAwait(false);
        return !result.IsOk || result.IsTruncated ? null
            : UserType.Read([.. result.Rows.Select(r => new UserTypeRow(Oid(r[0]), Encoding.UTF8.GetString(r[1]!), (char)r[2]![0], Oid(r[3]), Oid(r[4]), Oid(r[5])))]);
    }

    private static uint Oid(byte[]? text) => uint.Parse(text, CultureInfo.InvariantCulture);
}
