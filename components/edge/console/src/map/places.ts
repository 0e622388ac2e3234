/** Where the clouds' public regions are: country (ISO 3166-1) and whole degrees of latitude and longitude. For drawing only: what is allowed goes by country. */
import type { OfferRef } from "../../../workers/shared/wire";

export interface Place {
  cloud: OfferRef["cloud"];
  region: string;
  country: string;
  latitude: number;
  longitude: number;
}

const TABLE = `
aws af-south-1 ZA -34 18
aws ap-east-1 HK 22 114
aws ap-east-2 TW 25 122
aws ap-northeast-1 JP 36 140
aws ap-northeast-2 KR 38 127
aws ap-northeast-3 JP 35 136
aws ap-south-1 IN 19 73
aws ap-south-2 IN 17 78
aws ap-southeast-1 SG 1 104
aws ap-southeast-2 AU -34 151
aws ap-southeast-3 ID -6 107
aws ap-southeast-4 AU -38 145
aws ap-southeast-5 MY 3 102
aws ap-southeast-6 NZ -37 175
aws ap-southeast-7 TH 14 100
aws ca-central-1 CA 46 -74
aws ca-west-1 CA 51 -114
aws cn-north-1 CN 40 116
aws cn-northwest-1 CN 38 105
aws eu-central-1 DE 50 9
aws eu-central-2 CH 47 9
aws eu-north-1 SE 59 18
aws eu-south-1 IT 45 9
aws eu-south-2 ES 42 -1
aws eu-west-1 IE 53 -6
aws eu-west-2 GB 52 0
aws eu-west-3 FR 49 2
aws eusc-de-east-1 DE 52 13
aws il-central-1 IL 32 35
aws me-central-1 AE 25 55
aws me-south-1 BH 26 51
aws mx-central-1 MX 21 -100
aws sa-east-1 BR -23 -47
aws us-east-1 US 39 -77
aws us-east-2 US 40 -83
aws us-gov-east-1 US 40 -83
aws us-gov-west-1 US 46 -119
aws us-west-1 US 37 -122
aws us-west-2 US 46 -119
azure australiacentral AU -35 149
azure australiacentral2 AU -35 149
azure australiaeast AU -34 151
azure australiasoutheast AU -38 145
azure austriaeast AT 48 16
azure belgiumcentral BE 51 4
azure brazilsouth BR -24 -47
azure brazilsoutheast BR -23 -43
azure canadacentral CA 44 -79
azure canadaeast CA 47 -71
azure centralindia IN 19 74
azure centralus US 42 -94
azure chilecentral CL -33 -71
azure chinaeast CN 31 121
azure chinaeast2 CN 31 121
azure chinaeast3 CN 31 121
azure chinanorth CN 40 116
azure chinanorth2 CN 40 116
azure chinanorth3 CN 38 114
azure denmarkeast DK 56 13
azure eastasia HK 22 114
azure eastus US 37 -80
azure eastus2 US 37 -78
azure francecentral FR 46 2
azure francesouth FR 44 2
azure germanynorth DE 53 9
azure germanywestcentral DE 50 9
azure indonesiacentral ID -6 107
azure israelcentral IL 31 33
azure italynorth IT 45 9
azure japaneast JP 36 140
azure japanwest JP 35 136
azure jioindiacentral IN 21 79
azure jioindiawest IN 22 70
azure koreacentral KR 38 127
azure koreasouth KR 35 129
azure malaysiawest MY 3 102
azure mexicocentral MX 21 -100
azure newzealandnorth NZ -37 175
azure northcentralus US 42 -88
azure northeurope IE 53 -6
azure norwayeast NO 60 11
azure norwaywest NO 59 6
azure polandcentral PL 52 21
azure qatarcentral QA 26 51
azure southafricanorth ZA -26 28
azure southafricawest ZA -34 19
azure southcentralus US 29 -98
azure southeastasia SG 1 104
azure southindia IN 13 80
azure spaincentral ES 40 -3
azure swedencentral SE 61 17
azure switzerlandnorth CH 47 9
azure switzerlandwest CH 46 6
azure uaecentral AE 24 54
azure uaenorth AE 25 55
azure uksouth GB 51 -1
azure ukwest GB 53 -3
azure usdodcentral US 42 -94
azure usdodeast US 37 -80
azure usgovarizona US 33 -112
azure usgovtexas US 29 -98
azure usgovvirginia US 37 -80
azure westcentralus US 41 -110
azure westeurope NL 52 5
azure westindia IN 19 73
azure westus US 38 -122
azure westus2 US 47 -120
azure westus3 US 33 -112
gcp africa-south1 ZA -26 28
gcp asia-east1 TW 24 121
gcp asia-east2 HK 22 114
gcp asia-northeast1 JP 36 140
gcp asia-northeast2 JP 35 136
gcp asia-northeast3 KR 38 127
gcp asia-south1 IN 19 73
gcp asia-south2 IN 29 77
gcp asia-southeast1 SG 1 104
gcp asia-southeast2 ID -6 107
gcp australia-southeast1 AU -34 151
gcp australia-southeast2 AU -38 145
gcp europe-central2 PL 52 21
gcp europe-north1 FI 61 27
gcp europe-north2 SE 59 18
gcp europe-southwest1 ES 40 -4
gcp europe-west1 BE 51 4
gcp europe-west10 DE 53 13
gcp europe-west12 IT 45 8
gcp europe-west2 GB 52 0
gcp europe-west3 DE 50 9
gcp europe-west4 NL 52 5
gcp europe-west6 CH 47 9
gcp europe-west8 IT 45 9
gcp europe-west9 FR 49 2
gcp me-central1 QA 25 52
gcp me-central2 SA 26 50
gcp me-west1 IL 32 35
gcp northamerica-northeast1 CA 46 -74
gcp northamerica-northeast2 CA 44 -79
gcp northamerica-south1 MX 21 -100
gcp southamerica-east1 BR -24 -47
gcp southamerica-west1 CL -33 -71
gcp us-central1 US 42 -93
gcp us-east1 US 34 -81
gcp us-east4 US 39 -77
gcp us-east5 US 40 -83
gcp us-south1 US 33 -97
gcp us-west1 US 44 -121
gcp us-west2 US 34 -118
gcp us-west3 US 41 -112
gcp us-west4 US 36 -115
`;

export const PLACES: Place[] = TABLE.trim()
  .split("\n")
  .map((line) => {
    const [cloud = "", region = "", country = "", latitude, longitude] = line.split(" ");
    return { cloud: cloud as Place["cloud"], region, country, latitude: Number(latitude), longitude: Number(longitude) };
  });

const BY_NAME = new Map(PLACES.map((place) => [`${place.cloud}/${place.region}`, place]));

/** The place of a region; undefined for one that isn't in the table. */
export const placeOf = (cloud: string, region: string): Place | undefined => BY_NAME.get(`${cloud}/${region}`);
