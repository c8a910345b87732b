using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Orleans.Connections.Security;

namespace Dalle.Client;

/// <summary>Encrypted cluster connections: both sides show the one certificate of the cluster, and let in no other.</summary>
public static class ClusterTls
{
    /// <summary>How a side that has the certificate, with its private key, connects and lets connect.</summary>
    public static TlsOptions OptionsFor(X509Certificate2 certificate)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        return new()
        {
            LocalCertificate = certificate,
            RemoteCertificateMode = RemoteCertificateMode.RequireCertificate,
            ClientCertificateMode = RemoteCertificateMode.RequireCertificate,
            RemoteCertificateValidation = (theirs, _, _) => Equal(theirs, certificate),
            OnAuthenticateAsClient = (_, client) => client.TargetHost = certificate.GetNameInfo(X509NameType.DnsName, forIssuer: false),
        };
    }

    /// <summary>Whether what the other side has shown is the certificate itself: who issued it and for which names does not matter.</summary>
    public static bool Equal(X509Certificate? theirs, X509Certificate ours)
    {
        ArgumentNullException.ThrowIfNull(ours);
        return theirs is not null && theirs.GetCertHash(HashAlgorithmName.SHA256).AsSpan().SequenceEqual(ours.GetCertHash(HashAlgorithmName.SHA256));
    }
}
